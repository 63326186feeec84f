// Readings as lines: a card for each unit, so that power and energy never share an axis.

import { Badge, Group, Stack, Text } from "@mantine/core";
import { useCallback, useMemo } from "react";
import type { ChartFrame } from "~/charts/frame";
import { join } from "~/charts/join";
import { Legend } from "~/charts/legend";
import { LineChart } from "~/charts/line-chart";
import type { Marker } from "~/charts/markers";
import { Twin } from "~/charts/twin";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { show, showShare } from "~/lib/units";
import { secondsOf } from "~/period/granularity";
import type { View } from "~/period/search";
import { zoomTo } from "~/period/zoom";
import { Card } from "~/ui/card";
import { InTurn } from "~/ui/in-turn";
import { Empty, Failure, Loading } from "~/ui/states";
import { Downloads } from "./downloads";
import { momentName } from "./labels";
import { silences } from "./shape";
import type { Lines, useLines } from "./use-lines";
import type { Change, Look } from "./use-view";

const HEIGHT = 280;
const WHOLE = 0.995;

interface LinesCardsProps {
  readonly of: ReturnType<typeof useLines>;
  readonly view: View;
  readonly look: Look;
  readonly zone: string;
  readonly nowMs: number;
  readonly markers: readonly Marker[];
  readonly onChange: Change;
  /** How many devices have no line because there are too many. */
  readonly left: number;
}

export function LinesCards(props: LinesCardsProps) {
  const { t } = useWords("history");
  const { query, lines } = props.of;
  const title = props.view.metrics.map((one) => metricName(one, t)).join(", ");
  if (!lines && query.error) return <Card title={title}><Failure error={query.error} onRetry={() => void query.refetch()} /></Card>;
  if (!lines) return <Card title={title}><Loading height={HEIGHT + 76} /></Card>;
  if (!lines.some((one) => one.lines.some(({ columns }) => columns[0].length > 0))) {
    return <Card title={title}><div style={{ minHeight: HEIGHT }}><Empty title={t("lines.none")}>{t("lines.none-hint")}</Empty></div></Card>;
  }
  return <>{lines.map((one) => <LinesCard key={one.unit} {...props} drawn={one} />)}</>;
}

function LinesCard({ drawn, of, view, look, zone, nowMs, markers, onChange, left }: LinesCardsProps & { drawn: Lines }) {
  const { t, locale } = useWords("history");
  const { seen, whole } = look;
  const bucket = secondsOf(drawn.resolution);
  const title = drawn.metrics.map((one) => metricName(one, t)).join(", ");
  const shown = useMemo(() => drawn.lines.filter((one) => view.only === null || one.device === view.only), [drawn, view.only]);
  const own = useMemo(() => shown.filter((one) => !one.isCompared), [shown]);
  const columns = useMemo(() => join(own.map((one) => one.columns)), [own]);
  const frame = useMemo((): ChartFrame => ({
    span: seen, zone, locale, unit: drawn.unit, missing: silences(own.map((one) => one.columns), bucket, seen, nowMs), markers,
  }), [seen, zone, locale, drawn.unit, own, bucket, nowMs, markers]);
  const zoom = useCallback((part: { startMs: number; endMs: number }) => onChange({ zoom: zoomTo(part, whole) }), [onChange, whole]);
  const reset = useCallback(() => onChange({ zoom: null }), [onChange]);

  const file = { devices: view.only ? [view.only] : of.asked?.devices, metrics: drawn.metrics };
  const sentence = t("lines.sentence", { what: title, names: own.map((one) => one.label).join(", "), step: t(`step.${drawn.resolution}`) });
  const least = Math.min(1, ...own.map((one) => one.coverage));
  const aside = (
    <Group gap="xs">
      {own.length > 0 && <Badge variant="default" tt="none">{t("known", { share: showShare(least, locale) })}</Badge>}
      <Badge variant="default" tt="none">{t(`step.${drawn.resolution}`)}</Badge>
      <Downloads
        zone={zone}
        shown={of.asked && of.told ? { kind: "readings", ...of.asked, ...file, devices: file.devices ?? [], resolution: of.told } : null}
        compared={of.askedBefore && of.toldBefore ? { kind: "readings", ...of.askedBefore, ...file, devices: file.devices ?? [], resolution: of.toldBefore } : null}
      />
    </Group>
  );
  return (
    <Card title={title} aside={aside}>
      <InTurn height={HEIGHT + 76} waiting={<Loading height={HEIGHT + 76} />}>
        <Stack gap="xs">
          <LineChart frame={frame} series={shown} height={HEIGHT} label={sentence} onZoom={zoom} onReset={reset} />
          <Legend
            label={t("legend")}
            entries={drawn.lines.filter((one) => !one.isCompared).map((one) => (
              { id: one.device, label: one.label, color: one.color, text: one.coverage < WHOLE ? t("known", { share: showShare(one.coverage, locale) }) : undefined }
            ))}
            only={view.only}
            onOnly={(only) => onChange({ only })}
          />
          {left > 0 && <Text size="sm" c="dimmed">{t("lines.left", { count: left })}</Text>}
          <Twin
            caption={sentence}
            columns={[t("when"), ...own.map((one) => one.label)]}
            rows={columns[0].length}
            cells={(at) => [
              momentName((columns[0][at] as number) * 1_000, bucket, zone, locale),
              ...own.map((_, of_) => show(columns[of_ + 1]?.[at], drawn.unit, locale)),
            ]}
          />
        </Stack>
      </InTurn>
    </Card>
  );
}
