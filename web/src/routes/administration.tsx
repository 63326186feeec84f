import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function AdministrationPage() {
  const { t } = useWords("administration");
  return <Page title={t("title")}>{null}</Page>;
}
