import { History } from "~/features/history/history";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function HistoryPage() {
  const { t } = useWords("history");
  return (
    <Page title={t("title")}>
      <History />
    </Page>
  );
}
