// Which days are looked at, and what they are compared with.

import { ActionIcon, Button, Group, NativeSelect, Paper, Skeleton, Text } from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconZoomIn, IconZoomOut } from "@tabler/icons-react";
import { lazy, Suspense } from "react";
import { useWords } from "~/language/use-words";
import { showDays, showTime } from "~/lib/time";
import { plusDays } from "~/period/civil";
import { COMPARISONS, dayBefore, daysOf, hasNext, move, RANGES, type Period } from "~/period/period";
import type { View } from "~/period/search";
import { panned, zoomIn, zoomOut } from "~/period/zoom";
import type { Change, Look } from "./use-view";

const CustomRange = lazy(async () => ({ default: (await import("./custom-range")).CustomRange }));

interface PeriodBarProps {
  readonly view: View;
  readonly look: Look;
  readonly zone: string;
  readonly onChange: Change;
}

function nameOf({ period }: View, today: string): string {
  if (period.range !== "day") return period.range;
  if (period.at === null || period.at === today) return "today";
  return period.at === plusDays(today, -1) ? "yesterday" : "day";
}

function periodOf(name: string, view: View, today: string): Period {
  if (name === "yesterday") return dayBefore(today, 1);
  if (name === "custom") {
    const { first, end } = daysOf(view.period, today);
    return { range: "custom", from: first, to: plusDays(end, -1) };
  }
  const range = RANGES.find((one) => one === name);
  return range && range !== "custom" ? { range, at: null } : { range: "day", at: null };
}

export function PeriodBar({ view, look, zone, onChange }: PeriodBarProps) {
  const { t, locale } = useWords("history");
  const { today, whole, seen, isZoomed } = look;
  const name = nameOf(view, today);
  const names = ["today", "yesterday", ...(name === "day" ? ["day"] : []), ...RANGES.filter((one) => one !== "day")];
  const go = (period: Period) => onChange({ period, zoom: null });
  const step = (by: -1 | 1) => (isZoomed ? onChange({ zoom: panned(seen, by, whole) }) : go(move(view.period, by, today)));
  const isLast = isZoomed ? seen.endMs >= whole.endMs : !hasNext(view.period, today);

  return (
    <Paper withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)" component="section" aria-label={t("period.label")}>
      <Group gap="sm" align="flex-end">
        <NativeSelect
          label={t("period.range")}
          data={names.map((one) => ({ value: one, label: t(`range.${one}`) }))}
          value={name}
          onChange={(event) => go(periodOf(event.currentTarget.value, view, today))}
        />
        {view.period.range === "custom" && (
          <Suspense fallback={<Skeleton height={60} width={240} />}>
            <CustomRange from={view.period.from} to={view.period.to} today={today} onChoose={(from, to) => go({ range: "custom", from, to })} />
          </Suspense>
        )}
        <NativeSelect
          label={t("compare.label")}
          data={["none", ...COMPARISONS].map((one) => ({ value: one, label: t(`compare.${one}`) }))}
          value={view.compare ?? "none"}
          onChange={(event) => onChange({ compare: COMPARISONS.find((one) => one === event.currentTarget.value) ?? null })}
        />
        <Group gap={4} wrap="nowrap">
          <ActionIcon variant="default" size="input-sm" aria-label={t("period.before")} onClick={() => step(-1)} disabled={isZoomed && seen.startMs <= whole.startMs}>
            <IconChevronLeft size={18} />
          </ActionIcon>
          <Button variant="default" onClick={() => go({ range: view.period.range === "custom" ? "day" : view.period.range, at: null })}>
            {t("period.today")}
          </Button>
          <ActionIcon variant="default" size="input-sm" aria-label={t("period.after")} onClick={() => step(1)} disabled={isLast}>
            <IconChevronRight size={18} />
          </ActionIcon>
        </Group>
        <Group gap={4} wrap="nowrap">
          <ActionIcon variant="default" size="input-sm" aria-label={t("zoom.in")} onClick={() => onChange({ zoom: zoomIn(seen, whole) ?? view.zoom })}>
            <IconZoomIn size={18} />
          </ActionIcon>
          <ActionIcon variant="default" size="input-sm" aria-label={t("zoom.out")} onClick={() => onChange({ zoom: zoomOut(seen, whole) })} disabled={!isZoomed}>
            <IconZoomOut size={18} />
          </ActionIcon>
          {isZoomed && <Button variant="subtle" onClick={() => onChange({ zoom: null })}>{t("zoom.reset")}</Button>}
        </Group>
      </Group>
      <Text mt="xs" fw={600} aria-live="polite">
        {showDays(whole.startMs, whole.endMs, zone, locale)}
        {isZoomed && `: ${showTime(seen.startMs, zone, locale)} – ${showTime(seen.endMs, zone, locale)}`}
      </Text>
      {look.compared && (
        <Text size="sm" c="dimmed">
          {t("compare.with", { days: showDays(look.compared.startMs, look.compared.endMs, zone, locale) })}
        </Text>
      )}
    </Paper>
  );
}
