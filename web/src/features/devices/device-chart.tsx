// What a device measures, sliding as it comes in: the past over HTTP, then live, drawn once per frame.

import { Group, Select, SegmentedControl, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { show } from "~/lib/units";
import { useNewest, useTopic } from "~/live/hooks";
import { LiveChart } from "~/live/live-chart";
import { LiveTwin } from "~/live/live-twin";
import { readAnew } from "~/live/read-anew";
import { Ring } from "~/live/ring";
import { Card } from "~/ui/card";
import { Empty, Failure, Loading } from "~/ui/states";
import { joined } from "./course";
import { fetchPast, metricsQuery, MOST_POINTS } from "./queries";

const HEIGHT = 320;
const MOST_LIVE = 20_000;
const AGAIN_MS = 10_000;
const ASKED_AGAIN = 3;
/** Seconds in sight, and how far apart values may be and still belong together. */
const WINDOWS: Record<string, readonly [seconds: number, gap: number]> = {
  "5m": [300, 60], "1h": [3_600, 300], "24h": [86_400, 1_800], "7d": [604_800, 7_200],
};

export function DeviceChart({ device, zone }: { device: string; zone: string }) {
  const { t } = useWords("devices");
  const metrics = useQuery(metricsQuery(device));
  const [chosen, choose] = useState<string | null>(null);
  const [span, setSpan] = useState("5m");
  const queries = useQueryClient();
  const found = metrics.data ?? [];
  // The first reading of all names what there is to show.
  useTopic(found.length ? null : `devices.${device}`, ({ type }) => {
    if (type !== "device") void readAnew(queries, metricsQuery(device).queryKey);
  });
  const shown = found.find(({ metric }) => metric === (chosen ?? "power")) ?? found[0];
  return (
    <Card
      title={t("chart.title")}
      aside={
        <Group gap="xs">
          <Select
            aria-label={t("chart.metric")}
            size="xs"
            w={160}
            data={found.map(({ metric }) => ({ value: metric, label: metricName(metric, t) }))}
            value={shown?.metric ?? null}
            onChange={choose}
            allowDeselect={false}
          />
          <SegmentedControl aria-label={t("chart.span")} size="xs" value={span} onChange={setSpan} data={Object.keys(WINDOWS).map((value) => ({ value, label: t(`chart.last.${value}`) }))} />
        </Group>
      }
    >
      <div style={{ minHeight: HEIGHT + 56 }}>
        {metrics.error && !metrics.data && <Failure error={metrics.error} onRetry={() => void metrics.refetch()} />}
        {metrics.isPending && <Loading height={HEIGHT} />}
        {metrics.data && !shown && <Empty title={t("chart.none")}>{t("chart.none-hint")}</Empty>}
        {shown && <Sliding key={`${shown.metric} ${span}`} device={device} metric={shown.metric} unit={shown.unit} span={span} zone={zone} />}
      </div>
    </Card>
  );
}

/** The past and what comes in since, in one ring. What was stored while the past was on its way is asked for again. */
function useCourse(device: string, metric: string, seconds: number) {
  const [live] = useState(() => new Ring(MOST_LIVE));
  const past = useQuery({
    queryKey: ["readings", "past", device, metric, seconds],
    queryFn: () => fetchPast(device, metric, seconds),
    refetchInterval: (query) => (query.state.dataUpdateCount < ASKED_AGAIN ? AGAIN_MS : false),
    gcTime: 0,
    staleTime: Infinity,
  });
  const ring = useMemo(() => joined(past.data ?? [], live, MOST_POINTS + MOST_LIVE), [past.data, live]);
  useTopic(
    `devices.${device}`,
    ({ ms, type, data }) => {
      const value = (data.metrics as Record<string, unknown> | undefined)?.[metric];
      if (type !== "reading" || typeof value !== "number") return;
      live.push(ms / 1_000, value);
      ring.push(ms / 1_000, value);
    },
    () => void past.refetch(),
  );
  return { ring, error: past.error };
}

function Sliding({ device, metric, unit, span, zone }: { device: string; metric: string; unit: string; span: string; zone: string }) {
  const { t, locale } = useWords("devices");
  const [seconds, gap] = WINDOWS[span] ?? [300, 60];
  const newest = useNewest(device, metric);
  const { ring, error } = useCourse(device, metric, seconds);

  const name = metricName(metric, t);
  const series = useMemo(() => [{ label: name, ring, color: "--kw-accent", filled: true }], [name, ring]);
  const now = typeof newest === "number" ? newest : null;
  const sentence = t("chart.label", { name, span: t(`chart.last.${span}`), value: show(now, unit, locale) });
  return (
    <>
      <LiveChart series={series} seconds={seconds} height={HEIGHT} unit={unit} zone={zone} locale={locale} gap={gap} range={metric === "power" ? "zero" : "around"} label={sentence} />
      <Text size="sm" c="dimmed" className="kw-number">
        {error ? t("chart.past-failed") : `${name} ${t("common:time.now")}: ${show(now, unit, locale)}`}
      </Text>
      <LiveTwin name={name} ring={ring} seconds={seconds} caption={sentence} unit={unit} zone={zone} locale={locale} />
    </>
  );
}
