import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function HomePage() {
  const { t } = useWords("home");
  return <Page title={t("title")}>{null}</Page>;
}
