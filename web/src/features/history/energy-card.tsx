// Energy by bucket: bars, their legend, their files and their table.

import { Badge, Group, Stack, Text } from "@mantine/core";
import { useCallback, useMemo } from "react";
import { BarChart } from "~/charts/bar-chart";
import type { ChartFrame } from "~/charts/frame";
import { Legend } from "~/charts/legend";
import type { Marker } from "~/charts/markers";
import { Twin } from "~/charts/twin";
import { useWords } from "~/language/use-words";
import { chooseScale, show, showIn, showShare } from "~/lib/units";
import type { View } from "~/period/search";
import { zoomTo } from "~/period/zoom";
import { Card } from "~/ui/card";
import { InTurn } from "~/ui/in-turn";
import { Empty, Loading, Shown } from "~/ui/states";
import { Downloads } from "./downloads";
import { bucketName } from "./labels";
import { missingBuckets, sumOf, total } from "./shape";
import { usersOf, type Energy, type useEnergy } from "./use-energy";
import type { Change, Look } from "./use-view";

const HEIGHT = 280;

interface EnergyCardProps {
  readonly of: ReturnType<typeof useEnergy>;
  readonly view: View;
  readonly look: Look;
  readonly zone: string;
  readonly nowMs: number;
  readonly markers: readonly Marker[];
  readonly onChange: Change;
}

export function EnergyCard(props: EnergyCardProps) {
  const { t, locale } = useWords("history");
  const { asked, askedBefore, query, energy } = props.of;
  const devices = props.view.only ? [props.view.only] : (energy && usersOf(energy)) ?? asked.devices;
  const state = { data: energy, error: query.error, isPending: query.isPending, refetch: query.refetch };
  const aside = (
    <Group gap="xs">
      {energy && (
        <Text fw={650} className="kw-number">{show(energy.use ? total(energy.use.amounts) : energy.document.total.energy_wh, "Wh", locale)}</Text>
      )}
      {energy && <Badge variant="default" tt="none">{t("known", { share: showShare(energy.document.total.coverage, locale) })}</Badge>}
      <Badge variant="default" tt="none">{t(`step.${asked.step}`)}</Badge>
      <Downloads
        zone={props.zone}
        shown={energy ? { kind: "energy", ...asked, devices } : null}
        compared={energy && askedBefore ? { kind: "energy", ...askedBefore, devices } : null}
      />
    </Group>
  );
  return (
    <Card title={t("energy.title")} aside={aside}>
      <Shown of={state} height={HEIGHT + 76}>
        {(found) => (
          <InTurn height={HEIGHT + 76} waiting={<Loading height={HEIGHT + 76} />}>
            <Bars {...props} energy={found} />
          </InTurn>
        )}
      </Shown>
    </Card>
  );
}

function Bars({ energy, view, look, zone, nowMs, markers, onChange }: EnergyCardProps & { energy: Energy }) {
  const { t, locale } = useWords("history");
  const { step, edges, rows, document, before, use, useBefore } = energy;
  const { seen, whole } = look;

  const shown = useMemo(() => rows.filter((row) => view.only === null || row.id === view.only), [rows, view.only]);
  const isAll = view.only === null;
  const sums = useMemo(() => (use && isAll ? use.amounts : sumOf(shown.map((row) => row.amounts))), [use, isAll, shown]);
  const sumsBefore = useMemo(
    () => (useBefore && isAll ? useBefore.amounts : sumOf(shown.map((row) => row.compared ?? []))),
    [useBefore, isAll, shown],
  );
  const frame = useMemo((): ChartFrame => ({
    span: { startMs: edges[0] ?? seen.startMs, endMs: edges[edges.length - 1] ?? seen.endMs },
    zone, locale, unit: "Wh", missing: missingBuckets(sums, edges, nowMs), markers,
  }), [edges, seen, zone, locale, sums, nowMs, markers]);
  const series = useMemo(() => shown.map((row) => ({ label: row.name, color: row.color, amounts: row.amounts, compared: row.compared })), [shown]);
  const nameAt = useCallback(
    (at: number) => bucketName(step, edges[at] as number, edges[at + 1] as number, seen, zone, locale),
    [step, edges, seen, zone, locale],
  );
  const scale = useMemo(
    () => chooseScale("Wh", Math.max(0, ...[...sums, ...sumsBefore].map((sum) => Math.abs(sum ?? 0)))),
    [sums, sumsBefore],
  );
  const tip = useCallback((at: number) => {
    const known = shown.filter((row) => row.amounts[at] !== null || row.compared?.[at]);
    return {
      heading: nameAt(at),
      rows: [
        ...known.map((row) => ({ label: row.name, color: row.color, text: showIn(row.amounts[at], scale, locale) })),
        { label: t("total"), color: "--kw-card", text: showIn(sums[at], scale, locale) },
        ...(before ? [{ label: t("compare.before"), color: "--kw-card", text: showIn(sumsBefore[at], scale, locale) }] : []),
      ],
    };
  }, [nameAt, shown, sums, sumsBefore, before, scale, t, locale]);
  const zoom = useCallback((part: { startMs: number; endMs: number }) => onChange({ zoom: zoomTo(part, whole) }), [onChange, whole]);
  const reset = useCallback(() => onChange({ zoom: null }), [onChange]);

  if (document.devices.length && total(sumOf(rows.map((row) => row.amounts))) === null && total(sumsBefore) === null) {
    return <div style={{ minHeight: HEIGHT }}><Empty title={t("lines.none")}>{t("lines.none-hint")}</Empty></div>;
  }
  if (!document.devices.length) return <Empty title={t("energy.none")}>{t("energy.none-hint")}</Empty>;
  const ofTotals = chooseScale("Wh", Math.max(0, ...rows.map((row) => Math.abs(total(row.amounts) ?? 0))));
  const sentence = t("energy.sentence", {
    step: t(`step.${step}`), total: show(total(sums), "Wh", locale), share: showShare(document.total.coverage, locale),
  });
  return (
    <Stack gap="xs">
      <BarChart frame={frame} edges={edges} series={series} height={HEIGHT} label={sentence} tip={tip} onZoom={zoom} onReset={reset} />
      <Legend
        label={t("legend")}
        entries={rows.map((row) => ({ id: row.id, label: row.name, color: row.color, text: showIn(total(row.amounts), ofTotals, locale) }))}
        only={view.only}
        onOnly={(only) => onChange({ only })}
      />
      <Twin
        caption={sentence}
        columns={[t("when"), ...shown.map((row) => row.name), t("total"), ...(before ? [t("compare.before")] : [])]}
        rows={sums.length}
        cells={(at) => [
          nameAt(at),
          ...shown.map((row) => showIn(row.amounts[at], scale, locale)),
          showIn(sums[at], scale, locale),
          ...(before ? [showIn(sumsBefore[at], scale, locale)] : []),
        ]}
      />
    </Stack>
  );
}
