// Home of all sites: the same answers summed up, and each site with its own.

import { Anchor, SimpleGrid, Stack, Table } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { chooseSite, type Site } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { show, showMoney } from "~/lib/units";
import { Card } from "~/ui/card";
import { Failure } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { AlertsCard } from "./alerts-card";
import { AlertsTile } from "./alerts-tile";
import { balanceOf, type Balance } from "~/lib/balance";
import { NoDevices } from "./no-devices";
import { todayQuery } from "./queries";
import { Tile } from "./tile";
import { totalOf, type DayTotal } from "./today";
import { useHome, useOpenAlerts } from "./use-home";

/** Of so many sites the energy is asked for; the others tell theirs when they are looked at. */
const MOST_ASKED = 24;

interface Row {
  readonly site: Site;
  readonly devices: number;
  readonly balance: Balance;
  readonly day: DayTotal | undefined;
}

function useRows(sites: readonly Site[], home: ReturnType<typeof useHome>): Row[] {
  const { devices, roles, parts } = home;
  const days = useQueries({ queries: sites.slice(0, MOST_ASKED).map((site) => ({ ...todayQuery(site), refetchInterval: 300_000 })) });
  const siteOf = useMemo(() => new Map((devices.data ?? []).map((device) => [device.id, device.site_id])), [devices.data]);
  return sites.map((site, at) => {
    const those = parts.filter((part) => siteOf.get(part.id) === site.id);
    const energy = days[at]?.data;
    return { site, devices: those.length, balance: balanceOf(those), day: energy && devices.data ? totalOf(energy, roles) : undefined };
  });
}

/** Costs by currency, as they cannot be added. */
function costsOf(rows: readonly Row[], locale: string): string {
  const sums = new Map<string, number>();
  for (const { site, day } of rows) if (day?.cost != null) sums.set(site.currency, (sums.get(site.currency) ?? 0) + day.cost);
  return [...sums].map(([currency, amount]) => showMoney(amount, currency, locale)).join(" + ") || "–";
}

export function AllSites({ sites }: { sites: readonly Site[] }) {
  const { data: session } = useQuery(sessionQuery);
  const mayAlerts = may(session, "alerts:read");
  const home = useHome(null);
  const rows = useRows(sites, home);
  const open = useOpenAlerts(null, mayAlerts);

  if (home.devices.data?.length === 0) return <NoDevices site={null} />;
  if (home.devices.error && !home.devices.data) return <Failure error={home.devices.error} onRetry={() => void home.devices.refetch()} />;
  return (
    <Stack gap="md">
      <Sums rows={rows} alerts={open} />
      <SitesTable rows={rows} />
      {mayAlerts && <AlertsCard siteId={null} zone={sites[0]?.time_zone ?? "UTC"} />}
    </Stack>
  );
}

function Sums({ rows: all, alerts }: { rows: readonly Row[]; alerts: number | null | undefined }) {
  const { t, locale } = useWords("home");
  const rows = all.filter(({ devices }) => devices > 0);
  const live = rows.filter(({ balance }) => balance.isKnown);
  const known = rows.filter(({ day }) => day && day.use !== null);
  const use = known.reduce((sum, { day }) => sum + (day?.use ?? 0), 0);
  const isWhole = known.length === rows.length;
  const partly = isWhole ? t("since-midnight") : t("of-sites", { known: known.length, count: rows.length });
  return (
    <SimpleGrid cols={{ base: 2, lg: 4 }} spacing={{ base: "xs", xs: "md" }}>
      <Tile
        label={t("now")}
        figure={show(live.length ? live.reduce((sum, { balance }) => sum + balance.use, 0) : null, "W", locale)}
        under={t("of-sites", { known: live.length, count: rows.length })}
      />
      <Tile label={t("today")} figure={show(known.length ? use : null, "Wh", locale)} under={partly} />
      <Tile label={t("cost")} figure={costsOf(known, locale)} under={partly} />
      <AlertsTile alerts={alerts} />
    </SimpleGrid>
  );
}

function SitesTable({ rows }: { rows: readonly Row[] }) {
  const { t, locale } = useWords("home");
  return (
    <Card title={t("sites.title")}>
      <WideTable minWidth={420} label={t("sites.title")}>
        <Table verticalSpacing="xs" className="kw-number">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{t("common:place.site")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("sites.devices")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("now")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("today")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("cost")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>{rows.map((row) => <SiteRow key={row.site.id} row={row} locale={locale} />)}</Table.Tbody>
        </Table>
      </WideTable>
    </Card>
  );
}

function SiteRow({ row, locale }: { row: Row; locale: string }) {
  const { site, devices, balance, day } = row;
  return (
    <Table.Tr>
      <Table.Td><Anchor component="button" type="button" c="var(--kw-accent)" onClick={() => chooseSite(site.id)}>{site.name}</Anchor></Table.Td>
      <Table.Td ta="end">{devices}</Table.Td>
      <Table.Td ta="end">{show(balance.isKnown ? balance.use : null, "W", locale)}</Table.Td>
      <Table.Td ta="end">{show(day?.use, "Wh", locale)}</Table.Td>
      <Table.Td ta="end">{day?.cost == null ? "–" : showMoney(day.cost, site.currency, locale)}</Table.Td>
    </Table.Tr>
  );
}
