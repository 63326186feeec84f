import { useNavigate, useSearch } from "@tanstack/react-router";
import { AlertTable } from "~/features/alerts/alert-table";
import { readFilter, writeFilter } from "~/features/alerts/filter";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function AlertsPage() {
  const { t } = useWords("alerts");
  const go = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  return (
    <Page title={t("title")}>
      <AlertTable filter={readFilter(search)} onFilter={(filter) => void go({ to: "/alerts", search: writeFilter(filter) as never, replace: true })} />
    </Page>
  );
}
