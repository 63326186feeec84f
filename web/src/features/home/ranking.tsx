// What used most energy today, and what no device tells of.

import { Table } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useWords } from "~/language/use-words";
import { chooseScale, show, showIn, showMoney, showShare } from "~/lib/units";
import { Card } from "~/ui/card";
import { Empty } from "~/ui/states";
import type { Part } from "~/lib/balance";
import classes from "./home.module.css";
import type { DayTotal, Ranked } from "./today";

const MOST_SHOWN = 12;
/** A device says how complete it is where it is so much less than the site. */
const WORSE = 0.01;

interface RankingProps {
  readonly ranked: readonly Ranked[];
  readonly parts: readonly Part[];
  readonly day: DayTotal;
  readonly price: number;
  readonly currency: string;
}

export function Ranking({ ranked, parts, day, price, currency }: RankingProps) {
  const { t, locale } = useWords("home");
  const shown = ranked.slice(0, MOST_SHOWN);
  const rest = ranked.slice(MOST_SHOWN);
  const restWh = rest.reduce((sum, one) => sum + (one.wh ?? 0), 0);
  const most = Math.max(1, ...shown.map(({ wh }) => wh ?? 0), day.untracked, restWh);
  const scale = chooseScale("Wh", most);
  const now = new Map(parts.map((part) => [part.id, part.value]));
  const money = (wh: number | null) => (wh === null ? "–" : showMoney((wh / 1_000) * price, currency, locale));
  const bar = (wh: number | null, isUntracked = false) => (
    <div className={classes.bar} data-untracked={isUntracked || undefined} aria-hidden><span style={{ width: `${(Math.max(0, wh ?? 0) / most) * 100}%` }} /></div>
  );
  return (
    <Card title={t("ranking.title")}>
      {ranked.length === 0 && <Empty title={t("ranking.none")} />}
      {ranked.length > 0 && (
        <Table verticalSpacing={6} horizontalSpacing="xs" className="kw-number">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{t("ranking.device")}</Table.Th>
              <Table.Th scope="col" visibleFrom="xs"><span className="kw-unseen">{t("ranking.share")}</span></Table.Th>
              <Table.Th scope="col" ta="end">{t("today")}</Table.Th>
              <Table.Th scope="col" ta="end" visibleFrom="xs">{t("ranking.cost")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("ranking.now")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map(({ id, name, wh, coverage }) => (
              <Table.Tr key={id}>
                <Table.Td><Link to="/devices/$device" params={{ device: id }} className={classes.plainLink}>{name}</Link></Table.Td>
                <Table.Td visibleFrom="xs">{bar(wh)}</Table.Td>
                <Table.Td ta="end">
                  {showIn(wh, scale, locale)}
                  {wh !== null && coverage < day.coverage - WORSE && <div className={classes.under}>{t("complete", { share: showShare(coverage, locale) })}</div>}
                </Table.Td>
                <Table.Td ta="end" visibleFrom="xs">{money(wh)}</Table.Td>
                <Table.Td ta="end">{show(now.get(id), "W", locale)}</Table.Td>
              </Table.Tr>
            ))}
            {rest.length > 0 && <Extra name={t("ranking.others", { count: rest.length })} bar={bar(restWh)} wh={showIn(restWh, scale, locale)} money={money(restWh)} />}
            {day.isGridMeasured && <Extra name={t("untracked")} bar={bar(day.untracked, true)} wh={showIn(day.untracked, scale, locale)} money={money(day.untracked)} />}
          </Table.Tbody>
        </Table>
      )}
    </Card>
  );
}

function Extra({ name, bar, wh, money }: { name: string; bar: ReactNode; wh: string; money: string }) {
  return (
    <Table.Tr>
      <Table.Td>{name}</Table.Td>
      <Table.Td visibleFrom="xs">{bar}</Table.Td>
      <Table.Td ta="end">{wh}</Table.Td>
      <Table.Td ta="end" visibleFrom="xs">{money}</Table.Td>
      <Table.Td />
    </Table.Tr>
  );
}
