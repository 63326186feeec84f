import { useNavigate, useSearch } from "@tanstack/react-router";
import { readFilter, writeFilter, type Filter } from "~/features/dead-letters/filter";
import { Letters } from "~/features/dead-letters/letters";
import { Summary } from "~/features/dead-letters/summary";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Page } from "~/ui/page";

export function DeadLettersPage() {
  const { t } = useWords("dead-letters");
  const go = useNavigate();
  const filter = readFilter(useSearch({ strict: false }) as Record<string, unknown>);
  const onFilter = (wanted: Filter) => void go({ to: "/dead-letters", search: writeFilter(wanted) as never, replace: true });
  return (
    <Page title={t("title")}>
      <Card title={t("summary")}><Summary filter={filter} onFilter={onFilter} /></Card>
      <Card title={t("list")}><Letters filter={filter} onFilter={onFilter} /></Card>
    </Page>
  );
}
