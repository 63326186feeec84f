import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function RulesPage() {
  const { t } = useWords("rules");
  return <Page title={t("title")}>{null}</Page>;
}
