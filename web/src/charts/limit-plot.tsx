// One metric over a span with its limit as a line, and the times at which it was beyond it shaded; with a table twin.

import { Button, Stack, Table } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMemo } from "react";
import type uPlot from "uplot";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { show } from "~/lib/units";
import { breakAtGaps } from "./limit-gaps";
import { colorOf, timeAxis, valueAxis } from "./look";
import { Plot } from "./plot";

export interface Band {
  /** Seconds since 1970. */
  readonly from: number;
  readonly to: number;
}

interface LimitPlotProps {
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly unit: string;
  readonly limit: number | null;
  readonly bands: readonly Band[];
  readonly zone: string;
  readonly label: string;
  readonly height?: number;
}

const ROWS_MOST = 500;

function drawBands(plot: uPlot, bands: readonly Band[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.globalAlpha = 0.22;
  ctx.fillStyle = colorOf("--kw-high");
  for (const { from, to } of bands) {
    const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
    const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
    if (right >= left) ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  }
  ctx.restore();
}

function drawLimit(plot: uPlot, limit: number): void {
  const { ctx, bbox } = plot;
  const y = plot.valToPos(limit, "y", true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = colorOf("--kw-critical");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

function optionsOf(unit: string, limit: number | null, bands: readonly Band[], zone: string, locale: string) {
  return {
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: {
      y: {
        range: (_plot: uPlot, least: number | null, most: number | null): [number, number] => {
          const low = Math.min(0, least ?? 0, limit ?? 0);
          const high = Math.max(most ?? 0, limit ?? 0);
          return [low, high === low ? low + 1 : high + (high - low) * 0.08];
        },
      },
    },
    axes: [timeAxis(zone, locale), valueAxis(unit, locale)],
    series: [{}, { stroke: () => colorOf("--kw-import"), width: 1.5, spanGaps: false, points: { show: false } }],
    hooks: {
      drawClear: [(plot: uPlot) => drawBands(plot, bands)],
      draw: [(plot: uPlot) => limit !== null && drawLimit(plot, limit)],
    },
  } satisfies Omit<uPlot.Options, "width" | "height">;
}

export function LimitPlot({ times, values, unit, limit, bands, zone, label, height = 240 }: LimitPlotProps) {
  const { t, locale } = useWords();
  const [isTable, { toggle }] = useDisclosure();
  const options = useMemo(() => optionsOf(unit, limit, bands, zone, locale), [unit, limit, bands, zone, locale]);
  const data = useMemo((): uPlot.AlignedData => breakAtGaps(times, values), [times, values]);
  return (
    <Stack gap="xs">
      <Plot options={options} data={data} height={height} label={label} />
      <Button variant="subtle" size="compact-xs" onClick={toggle} aria-expanded={isTable} style={{ alignSelf: "flex-start" }}>
        {t("table.show")}
      </Button>
      {isTable && (
        <Table.ScrollContainer minWidth={240} mah={300} type="native" tabIndex={0} role="region" aria-label={label}>
          <Table stickyHeader>
            <Table.Tbody>
              {times.slice(-ROWS_MOST).map((at, row) => (
                <Table.Tr key={at}>
                  <Table.Td>{showTime(at * 1_000, zone, locale, true)}</Table.Td>
                  <Table.Td ta="right" className="kw-number">{show(values.slice(-ROWS_MOST)[row], unit, locale)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Stack>
  );
}
