import { Button, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { may, sessionQuery } from "~/api/session";
import { Detectors } from "~/features/rules/detectors";
import { RuleList } from "~/features/rules/rule-list";
import { Windows } from "~/features/rules/windows";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

const TABS = ["rules", "detectors", "windows"] as const;

export function RulesPage() {
  const { t } = useWords("rules");
  const go = useNavigate();
  const search = useSearch({ strict: false }) as { tab?: unknown };
  const { data: session } = useQuery(sessionQuery);
  const tab = TABS.find((one) => one === search.tab) ?? "rules";
  return (
    <Page title={t("title")} aside={may(session, "rules:create") && <Button component={Link} to="/rules/new" size="xs">{t("new")}</Button>}>
      <Tabs value={tab} onChange={(chosen) => void go({ to: "/rules", search: { tab: chosen === "rules" ? undefined : chosen } as never, replace: true })} keepMounted={false}>
        <Tabs.List mb="md">{TABS.map((one) => <Tabs.Tab key={one} value={one}>{t(`tab.${one}`)}</Tabs.Tab>)}</Tabs.List>
        <Tabs.Panel value="rules"><RuleList /></Tabs.Panel>
        <Tabs.Panel value="detectors"><Detectors /></Tabs.Panel>
        <Tabs.Panel value="windows"><Windows /></Tabs.Panel>
      </Tabs>
    </Page>
  );
}
