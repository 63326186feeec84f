// The figures on top: fleet power, readings per second, lag, alarms, commands that wait.

import { Paper, SimpleGrid, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useWords } from "~/language/use-words";
import { show } from "~/lib/units";
import type { Region } from "./fleet";
import classes from "./figure-row.module.css";
import { alertCountsQuery, commandsQuery, figuresQuery, type Figures } from "./queries";

const WAITING = new Set(["queued", "processing"]);

/** Readings per second between two looks at the counter; null until there are two. */
function useRate(figures: Figures | undefined): number | null {
  const before = useRef<Figures | null>(null);
  const [rate, setRate] = useState<number | null>(null);
  useEffect(() => {
    const last = before.current;
    if (!figures || figures.accepted === null) return;
    before.current = figures;
    if (last?.accepted == null || figures.ms <= last.ms || figures.accepted < last.accepted) return;
    setRate(((figures.accepted - last.accepted) * 1_000) / (figures.ms - last.ms));
  }, [figures]);
  return rate;
}

export function FigureRow({ regions, mayCommand }: { regions: readonly Region[]; mayCommand: boolean }) {
  const { t, locale } = useWords("control-room");
  const { data: figures } = useQuery(figuresQuery);
  const { data: counts } = useQuery(alertCountsQuery);
  const { data: commands = [] } = useQuery({ ...commandsQuery, enabled: mayCommand });
  const rate = useRate(figures);
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const reporting = regions.reduce((sum, one) => sum + one.reporting, 0);
  const power = regions.reduce((sum, one) => sum + one.powerW, 0);
  const open = (counts?.status as Record<string, number> | undefined)?.open;
  const shown: readonly (readonly [string, string])[] = [
    ["power", reporting ? show(power, "W", locale) : "–"],
    ["rate", rate === null ? "–" : `${number.format(rate)}/s`],
    ["lag", figures?.lagS == null ? "–" : `${number.format(figures.lagS)} s`],
    ["alarms", counts ? String(open ?? 0) : "–"],
    ["commands", mayCommand ? String(commands.filter((one) => WAITING.has(one.status)).length) : "–"],
  ];
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="sm">
      {shown.map(([name, value]) => (
        <Paper key={name} className={classes.figure} withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
          <Text size="sm" c="dimmed">{t(`figure.${name}`)}</Text>
          <Text size="xl" fw={700} className="kw-number">{value}</Text>
        </Paper>
      ))}
    </SimpleGrid>
  );
}
