// Alerts as operators need them: what presses, how long, who looks after it; many acknowledged at once, by keyboard too.

import { Button, Checkbox, Stack, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState, type KeyboardEvent } from "react";
import { useNames } from "~/api/people";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { Empty, Shown } from "~/ui/states";
import { Bulk } from "./bulk";
import { Filters } from "./filters";
import type { Filter } from "./filter";
import { useAlertsLive } from "./live";
import { alertsQuery, type Alert } from "./queries";
import { Row } from "./row";
import { inOrder, type Order } from "./state";

interface AlertTableProps {
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
}

const HEIGHT = 420;

/** Arrows go from alert to alert, x selects. */
function steer(event: KeyboardEvent<HTMLElement>, select: (id: string) => void): void {
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-alert]")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  if (at < 0) return;
  if (event.key === "x") select(links[at]?.dataset.alert ?? "");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  links[at + step]?.focus();
}

export function AlertTable({ filter, onFilter }: AlertTableProps) {
  const { t } = useWords("alerts");
  const { site } = useSite();
  const [order, setOrder] = useState<Order>("newest");
  const asked = useInfiniteQuery(alertsQuery({ ...filter, site: filter.site ?? site?.id ?? null }));
  useAlertsLive();
  return (
    <Stack gap="sm">
      <Filters filter={filter} onChange={onFilter} order={order} onOrder={setOrder} />
      <Shown of={asked} height={HEIGHT}>
        {(data) => {
          const alerts = inOrder(data.pages.flatMap((page) => page.items), order);
          if (!alerts.length) return <Nothing filter={filter} />;
          return <Alerts alerts={alerts} />;
        }}
      </Shown>
      {asked.hasNextPage && (
        <Button variant="default" onClick={() => void asked.fetchNextPage()} loading={asked.isFetchingNextPage}>{t("common:table.more")}</Button>
      )}
    </Stack>
  );
}

function Nothing({ filter }: { filter: Filter }) {
  const { t } = useWords("alerts");
  const isCalm = filter.view === "living" && !filter.severity && !filter.kind;
  return <Empty title={t(isCalm ? "empty.calm" : "empty.title")}>{t(isCalm ? "empty.calm-hint" : "empty.hint")}</Empty>;
}

function Alerts({ alerts }: { alerts: readonly Alert[] }) {
  const { t } = useWords("alerts");
  const { data: session } = useQuery(sessionQuery);
  const { sites } = useSite();
  const zone = useZone();
  const nameOf = useNames();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const mayAct = may(session, "alerts:change");
  const open = alerts.filter((alert) => alert.status === "open");
  const selected = open.filter((alert) => chosen.has(alert.id)).map((alert) => alert.id);

  const select = (id: string, isSelected: boolean) => {
    const next = new Set(chosen);
    if (isSelected) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const toggle = (id: string) => {
    if (mayAct && open.some((alert) => alert.id === id)) select(id, !chosen.has(id));
  };
  return (
    <Stack gap="xs">
      {mayAct && open.length > 0 && <Bulk selected={selected} onDone={() => setChosen(new Set())} />}
      <Table highlightOnHover verticalSpacing="xs" onKeyDown={(event) => steer(event, toggle)} aria-label={t("title")}>
        <Table.Thead>
          <Table.Tr>
            {mayAct && (
              <Table.Th>
                <Checkbox size="xs" aria-label={t("select-all")} disabled={!open.length} checked={open.length > 0 && selected.length === open.length} indeterminate={selected.length > 0 && selected.length < open.length} onChange={(event) => setChosen(new Set(event.currentTarget.checked ? open.map((alert) => alert.id) : []))} />
              </Table.Th>
            )}
            <Table.Th>{t("field.severity")}</Table.Th>
            <Table.Th>{t("field.what")}</Table.Th>
            <Table.Th visibleFrom="md">{t("field.since")}</Table.Th>
            <Table.Th visibleFrom="md">{t("field.duration")}</Table.Th>
            <Table.Th visibleFrom="md">{t("field.status")}</Table.Th>
            <Table.Th visibleFrom="md">{t("field.assignee")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {alerts.map((alert) => (
            <Row
              key={alert.id}
              alert={alert}
              site={sites.find((one) => one.id === alert.site_id)?.name ?? ""}
              zone={zone(alert.site_id)}
              assignee={nameOf(alert.acknowledged_by)}
              isSelected={mayAct ? selected.includes(alert.id) : null}
              onSelect={(isSelected) => select(alert.id, isSelected)}
            />
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed" visibleFrom="md">{t(mayAct ? "keys" : "keys-look")}</Text>
    </Stack>
  );
}
