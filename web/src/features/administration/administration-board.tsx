// Tabs of the administration, those that the reader's role may see; which one is open stands in the address.

import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Empty, Shown } from "~/ui/states";
import classes from "./administration.module.css";
import { Audit } from "./audit";
import { Engines } from "./engines";
import { Keeping } from "./keeping";
import { Keys } from "./keys";
import { Members } from "./members";

const TABS = [
  ["members", "members:read"],
  ["keys", "api_keys:read"],
  ["audit", "audit_log:read"],
  ["keeping", "organisation:read"],
  ["engines", "organisation:read"],
] as const;

export function AdministrationBoard({ tab, onTab }: { tab: string; onTab: (tab: string) => void }) {
  const { t } = useWords("administration");
  const session = useQuery(sessionQuery);
  const { site } = useSite();
  return (
    <Shown of={session} height={400}>
      {(who) => {
        const tabs = TABS.filter(([, right]) => may(who, right));
        const open = tabs.find(([name]) => name === tab)?.[0] ?? tabs[0]?.[0];
        if (!who || !open) return <Empty title={t("common:state.no-right")}>{t("common:state.no-right-hint")}</Empty>;
        return (
          <Tabs value={open} onChange={(chosen) => chosen && onTab(chosen)} keepMounted={false}>
            <TabList tabs={tabs.map(([name]) => name)} open={open} />
            <Tabs.Panel value="members"><Members session={who} /></Tabs.Panel>
            <Tabs.Panel value="keys"><Keys session={who} /></Tabs.Panel>
            <Tabs.Panel value="audit"><Audit session={who} zone={site?.time_zone ?? "UTC"} /></Tabs.Panel>
            <Tabs.Panel value="keeping"><Keeping session={who} /></Tabs.Panel>
            <Tabs.Panel value="engines"><Engines /></Tabs.Panel>
          </Tabs>
        );
      }}
    </Shown>
  );
}

/** A row that slides where it does not fit; the open tab is always in sight. */
function TabList({ tabs, open }: { tabs: readonly string[]; open: string }) {
  const { t } = useWords("administration");
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    void list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [open]);
  return (
    <Tabs.List mb="md" ref={list} className={classes.tabs}>
      {tabs.map((name) => <Tabs.Tab key={name} value={name}>{t(`tab.${name}`)}</Tabs.Tab>)}
    </Tabs.List>
  );
}
