// What the rule would have done: how often, for how long, which devices; and a chart of one of them.

import { Alert, Button, Group, Select, SimpleGrid, Stack, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { otherFault } from "~/api/fields";
import { storedQuery } from "~/api/stored";
import { useZone } from "~/api/zone";
import { LimitPlot, type Band } from "~/charts/limit-plot";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { showDuration, showTime } from "~/lib/time";
import { showNumber } from "~/lib/units";
import { Loading, Shown } from "~/ui/states";
import { hasLimit, wantedOf, type Draft } from "./draft";
import { tryRule, type Tried } from "./queries";

const DAYS = [1, 7, 30, 90];
const HEIGHT = 280;
const COUNT = { unit: "", factor: 1, digits: 0 };
const HANDLED = ["threshold", "clear_threshold", "metric", "operator", "device_id", "site_id", "device_type", "for_s", "cooldown_s", "channels", "name"];

interface BacktestProps {
  readonly draft: Draft;
  /** Told what the server finds wrong with the rule. */
  readonly onFault: (error: unknown) => void;
}

interface Result {
  readonly tried: Tried;
  readonly draft: Draft;
  readonly startMs: number;
  readonly endMs: number;
}

export function Backtest({ draft, onFault }: BacktestProps) {
  const { t } = useWords("rules");
  const [days, setDays] = useState(7);
  const trying = useMutation({
    mutationFn: async (): Promise<Result> => {
      const endMs = Date.now();
      const startMs = endMs - days * 86_400_000;
      return { tried: await tryRule({ ...wantedOf(draft), name: draft.name.trim() || "?" }, startMs, endMs), draft, startMs, endMs };
    },
    onError: onFault,
    onSuccess: () => onFault(null),
  });
  const isStale = trying.data !== undefined && trying.data.draft !== draft;
  const fault = otherFault(trying.error, HANDLED);
  return (
    <Stack gap="sm" mih={HEIGHT}>
      <Group gap="xs" align="flex-end">
        <Select label={t("try.span")} w={200} allowDeselect={false} data={DAYS.map((count) => ({ value: String(count), label: t("try.days", { count }) }))} value={String(days)} onChange={(chosen) => setDays(Number(chosen ?? 7))} />
        <Button variant="default" loading={trying.isPending} onClick={() => trying.mutate()}>{t("try.do")}</Button>
        {isStale && <Text size="sm" c="dimmed">{t("try.stale")}</Text>}
      </Group>
      {fault && <Alert color="red" variant="outline" role="alert">{fault}</Alert>}
      {trying.isPending && <Loading height={HEIGHT} />}
      {!trying.isPending && trying.data && <Outcome result={trying.data} />}
      {!trying.data && !trying.isPending && !fault && <Text size="sm" c="dimmed">{t("try.hint")}</Text>}
    </Stack>
  );
}

function Outcome({ result }: { result: Result }) {
  const { t, locale } = useWords("rules");
  const { tried, draft, startMs, endMs } = result;
  const worst = tried.devices[0]?.device;
  const [chosen, setChosen] = useState<string | null>(null);
  const device = chosen ?? (draft.scope === "device" ? draft.subject : worst);
  const day = tried.worst_day && new Intl.DateTimeFormat(locale, { dateStyle: "full", timeZone: "UTC" }).format(Date.parse(tried.worst_day.date));
  return (
    <Stack gap="sm">
      <Text role="status" fw={600}>
        {tried.raises ? t("try.raised", { count: tried.raises, length: showDuration(tried.seconds_raised) }) : t(tried.samples ? "try.never" : "try.nothing")}
      </Text>
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        {day && tried.worst_day && <Text size="sm">{t("try.worst", { day, count: tried.worst_day.raises, length: showDuration(tried.worst_day.seconds) })}</Text>}
        <Text size="sm" c="dimmed">{t("try.samples", { count: tried.samples, shown: showNumber(tried.samples, COUNT, locale) })}</Text>
      </SimpleGrid>
      {tried.devices.length > 1 && (
        <Select label={t("try.device")} maw={420} allowDeselect={false} value={device ?? null} onChange={setChosen} data={tried.devices.map((one) => ({ value: one.device, label: t("try.of-device", { name: one.device, count: one.raises, length: showDuration(one.seconds) }) }))} />
      )}
      {device && <Drawn draft={draft} device={device} tried={tried} startMs={startMs} endMs={endMs} />}
    </Stack>
  );
}

interface DrawnProps extends Result {
  readonly device: string;
}

const METRIC_OF: Partial<Record<Draft["input"], string>> = { energy_15m: "energy_wh", energy_1m: "power" };

function Drawn({ draft, device, tried, startMs, endMs }: DrawnProps) {
  const { t, locale } = useWords("rules");
  const zone = useZone()();
  const metric = METRIC_OF[draft.input] ?? (draft.metric || "power");
  const asked = useQuery(storedQuery({ device, metric, startMs, endMs }));
  const bands = useMemo(
    (): Band[] =>
      tried.spans.filter((one) => one.device === device).map((one) => ({ from: Date.parse(one.start) / 1_000, to: Date.parse(one.end) / 1_000 })),
    [tried, device],
  );
  const isLimitDrawn = hasLimit(draft.input) && draft.input === "value";
  return (
    <Shown of={asked} height={HEIGHT}>
      {(stored) =>
        stored.times.length ? (
          <LimitPlot
            times={stored.times}
            values={stored.values}
            unit={stored.unit}
            limit={isLimitDrawn && draft.threshold !== "" ? draft.threshold : null}
            bands={bands}
            zone={zone}
            height={HEIGHT}
            label={t("try.chart", { metric: metricName(metric, t), device, start: showTime(startMs, zone, locale), end: showTime(endMs, zone, locale), count: bands.length })}
          />
        ) : (
          <Text c="dimmed">{t("try.no-readings")}</Text>
        )
      }
    </Shown>
  );
}
