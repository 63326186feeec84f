import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function AlertsPage() {
  const { t } = useWords("alerts");
  return <Page title={t("title")}>{null}</Page>;
}
