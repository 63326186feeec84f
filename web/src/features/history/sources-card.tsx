// Where energy went: each device with its energy, how much of it is known, and what it cost.

import { Table, Text } from "@mantine/core";
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
  readonly coverage: number;
  readonly comparedWh: number | null;
}

export function SourcesCard({ energy }: { energy: Energy | undefined }) {
  const { t } = useWords("history");
  if (!energy) return <Card title={t("sources.title")}><Loading height={200} /></Card>;
  return <Sources energy={energy} />;
}

function Sources({ energy }: { energy: Energy }) {
  const { t, locale } = useWords("history");
  const { document, before, sources } = energy;
  const { currency, price_per_kwh: price } = document;
  const largest = Math.max(0, ...sources.map((one) => Math.abs(one.energyWh ?? 0)), Math.abs(document.total.energy_wh ?? 0));
  const scale = chooseScale("Wh", largest);
  const all = total(sources.map((one) => one.energyWh && Math.max(0, one.energyWh))) ?? 0;
  const money = (energyWh: number | null) => {
    const cost = costOf(energyWh, price);
    return cost === null ? "–" : showMoney(cost, currency, locale);
  };

  const line = ({ name, color, energyWh, coverage, comparedWh }: Figures, key: string) => (
    <Table.Tr key={key} fw={color ? undefined : 650}>
      <Table.Th scope="row" fw="inherit">
        {color && <span className={classes.sign} style={{ background: `var(${color})` }} />}
        {name}
      </Table.Th>
      <Table.Td ta="right">{showIn(energyWh, scale, locale)}</Table.Td>
      <Table.Td ta="right">{all > 0 && energyWh !== null ? showShare(Math.max(0, energyWh) / all, locale) : "–"}</Table.Td>
      <Table.Td ta="right">{showShare(coverage, locale)}</Table.Td>
      <Table.Td ta="right">{money(energyWh)}</Table.Td>
      {before && <Table.Td ta="right">{showIn(comparedWh, scale, locale)}</Table.Td>}
      {before && <Table.Td ta="right">{money(comparedWh)}</Table.Td>}
    </Table.Tr>
  );
  const rowOf = (one: Source) => line(one, one.id);
  const sum = {
    name: t("total"), color: null, energyWh: document.total.energy_wh, coverage: document.total.coverage, comparedWh: before?.total.energy_wh ?? null,
  };
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
            {sources.slice(0, MOST).map(rowOf)}
            {line(sum, "total")}
          </Table.Tbody>
        </Table>
      </WideTable>
      <Text size="sm" c="dimmed" mt="xs">{t("sources.price", { price: showMoney(price, currency, locale) })}</Text>
      {sources.length > MOST && <Text size="sm" c="dimmed">{t("sources.left", { count: sources.length - MOST })}</Text>}
    </Card>
  );
}
