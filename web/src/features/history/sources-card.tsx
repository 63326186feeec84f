// Where energy went and, where that is measured, where it came from: each device with its energy, how much of it is
// known, and what it cost. What a site with givers of its own cost is what came from the grid.

import { Table, Text } from "@mantine/core";
import type { Amounts } from "~/charts/stack";
import { useWords } from "~/language/use-words";
import { chooseScale, showIn, showMoney, showShare } from "~/lib/units";
import { Card } from "~/ui/card";
import { Loading } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { costOf, total, type Source } from "./shape";
import classes from "./history.module.css";
import type { Energy } from "./use-energy";

const MOST = 50;

interface Figures {
  readonly name: string;
  readonly color: string | null;
  readonly energyWh: number | null;
  readonly coverage: number | null;
  readonly comparedWh: number | null;
  /** What of it has a price; all of it unless it is said. */
  readonly pricedWh?: number | null;
  readonly pricedBeforeWh?: number | null;
}

/** Who used and who gave, what nobody tells of, and all of it together; all: what shares are parts of. */
function figuresOf({ sources, givers, use, useBefore, document, before }: Energy, sumName: string, untrackedName: string) {
  const users = sources.filter(({ id }) => !givers.has(id));
  const together = { name: sumName, color: null, coverage: document.total.coverage };
  if (!use) {
    const sum: Figures = { ...together, energyWh: document.total.energy_wh, comparedWh: before?.total.energy_wh ?? null };
    return { users, given: [], sum, untracked: null, all: total(users.map((one) => one.energyWh && Math.max(0, one.energyWh))) ?? 0 };
  }
  const then = (amounts: Amounts | undefined) => (amounts ? total(amounts) : null);
  const energyWh = total(use.amounts);
  const sum: Figures = { ...together, energyWh, comparedWh: then(useBefore?.amounts), pricedWh: use.importedWh, pricedBeforeWh: useBefore?.importedWh ?? null };
  const untracked: Figures = { name: untrackedName, color: "--kw-quiet", energyWh: total(use.untracked), coverage: null, comparedWh: then(useBefore?.untracked) };
  return { users, given: sources.filter(({ id }) => givers.has(id)), sum, untracked, all: energyWh ?? 0 };
}

export function SourcesCard({ energy }: { energy: Energy | undefined }) {
  const { t } = useWords("history");
  if (!energy) return <Card title={t("sources.title")}><Loading height={200} /></Card>;
  return <Sources energy={energy} />;
}

function Sources({ energy }: { energy: Energy }) {
  const { t, locale } = useWords("history");
  const { document, before } = energy;
  const { currency, price_per_kwh: price } = document;
  const { users, given, sum, untracked, all } = figuresOf(energy, t("total"), t("untracked"));
  const scale = chooseScale("Wh", Math.max(0, ...[...energy.sources, sum].map((one) => Math.abs(one.energyWh ?? 0))));
  const money = (energyWh: number | null) => {
    const cost = costOf(energyWh, price);
    return cost === null ? "–" : showMoney(cost, currency, locale);
  };

  const line = ({ name, color, energyWh, coverage, comparedWh, pricedWh = energyWh, pricedBeforeWh = comparedWh }: Figures, key: string, hasShare = true) => (
    <Table.Tr key={key} fw={color ? undefined : 650}>
      <Table.Th scope="row" fw="inherit">
        {color && <span className={classes.sign} style={{ background: `var(${color})` }} />}
        {name}
      </Table.Th>
      <Table.Td ta="right">{showIn(energyWh, scale, locale)}</Table.Td>
      <Table.Td ta="right">{hasShare && all > 0 && energyWh !== null ? showShare(Math.max(0, energyWh) / all, locale) : "–"}</Table.Td>
      <Table.Td ta="right">{coverage === null ? "–" : showShare(coverage, locale)}</Table.Td>
      <Table.Td ta="right">{money(pricedWh)}</Table.Td>
      {before && <Table.Td ta="right">{showIn(comparedWh, scale, locale)}</Table.Td>}
      {before && <Table.Td ta="right">{money(pricedBeforeWh)}</Table.Td>}
    </Table.Tr>
  );
  const rowOf = (one: Source) => line(one, one.id);
  const rowOfGiver = (one: Source) => line({ ...one, pricedWh: null, pricedBeforeWh: null }, one.id, false);
  return (
    <Card title={t("sources.title")}>
      <WideTable minWidth={before ? 720 : 520} label={t("sources.title")}>
        <Table className="kw-number">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{t("sources.device")}</Table.Th>
              {["energy", "share", "known", "cost", ...(before ? ["energy-before", "cost-before"] : [])].map((word) => (
                <Table.Th key={word} scope="col" ta="right">{t(`sources.${word}`)}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {users.slice(0, MOST).map(rowOf)}
            {untracked && line(untracked, "untracked")}
            {line(sum, "total")}
          </Table.Tbody>
          {given.length > 0 && (
            <Table.Tbody>
              <Table.Tr><Table.Th scope="rowgroup" colSpan={before ? 7 : 5}>{t("sources.given")}</Table.Th></Table.Tr>
              {given.map(rowOfGiver)}
            </Table.Tbody>
          )}
        </Table>
      </WideTable>
      <Text size="sm" c="dimmed" mt="xs">{t("sources.price", { price: showMoney(price, currency, locale) })}</Text>
      {users.length > MOST && <Text size="sm" c="dimmed">{t("sources.left", { count: users.length - MOST })}</Text>}
    </Card>
  );
}
