import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function DeadLettersPage() {
  const { t } = useWords("dead-letters");
  return <Page title={t("title")}>{null}</Page>;
}
