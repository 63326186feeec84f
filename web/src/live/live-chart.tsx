// A chart of the last minutes that slides: rings go to the canvas as they are, drawn at most once per animation frame,
// and not at all while nothing moved by a pixel or the chart is out of sight.

import { useReducedMotion } from "@mantine/hooks";
import { useEffect, useMemo, useRef, useState } from "react";
import type uPlot from "uplot";
import { breaksAt } from "~/charts/gaps";
import { colorOf, timeAxis, valueAxis } from "~/charts/look";
import { Plot } from "~/charts/plot";
import { rangeAround, rangeFromZero } from "~/charts/scale";
import { aligned } from "./aligned";
import { onFrame } from "./frames";
import type { Ring } from "./ring";

export interface LiveSeries {
  readonly label: string;
  readonly ring: Ring;
  /** A colour variable such as "--kw-solar". */
  readonly color: string;
  /** Whether the area below the line is tinted. */
  readonly filled?: boolean;
}

interface LiveChartProps {
  /** Keep it (useMemo, or outside of React): the chart is made anew when it changes. */
  readonly series: readonly LiveSeries[];
  /** How many seconds are seen. */
  readonly seconds: number;
  readonly height: number;
  /** What the chart shows, in a sentence. */
  readonly label: string;
  readonly unit: string;
  readonly zone: string;
  readonly locale: string;
  /** Values farther apart than so many seconds are not joined. */
  readonly gap?: number;
  /** The range of values: fixed, from zero (as it is without this) or around them. */
  readonly range?: readonly [number, number] | "zero" | "around";
  /** Without axes, for small charts. */
  readonly bare?: boolean;
}

const REDUCED_MS = 1_000;
const EMPTY: uPlot.AlignedData = [[]];
const NO_ROOM: [number, number, number, number] = [4, 0, 4, 0];

function scaleOf(range: LiveChartProps["range"]): uPlot.Scale.Range {
  if (typeof range === "object") return [range[0], range[1]];
  const choose = range === "around" ? rangeAround : rangeFromZero;
  return (_plot, lowest, largest) => choose(lowest, largest);
}

export function LiveChart(props: LiveChartProps) {
  const { series, seconds, height, label, unit, zone, locale, gap = 30, range = "zero", bare = false } = props;
  const [plot, setPlot] = useState<uPlot | null>(null);
  const isStill = useReducedMotion() ?? false;
  const rangeKey = typeof range === "object" ? range.join() : range;

  const options = useMemo((): Omit<uPlot.Options, "width" | "height"> => ({
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true, auto: false }, y: { range: scaleOf(range) } },
    axes: bare ? [{ show: false }, { show: false }] : [timeAxis(zone, locale), valueAxis(unit, locale)],
    ...(bare ? { padding: NO_ROOM } : {}),
    series: [
      {},
      ...series.map((one): uPlot.Series => ({
        label: one.label,
        stroke: () => colorOf(one.color),
        ...(one.filled ? { fill: () => `color-mix(in srgb, ${colorOf(one.color)} 18%, transparent)` } : {}),
        width: 1.5,
        points: { show: false },
        gaps: breaksAt(gap),
      })),
    ],
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a range is compared by what it says
  }), [series, unit, zone, locale, gap, rangeKey, bare]);

  useSliding(plot, series, seconds, isStill ? REDUCED_MS : 0);
  return <Plot options={options} data={EMPTY} height={height} label={label} onPlot={setPlot} />;
}

/** Draws what is new, or what has moved. atLeastMs: between two drawings. */
function useSliding(plot: uPlot | null, series: readonly LiveSeries[], seconds: number, atLeastMs: number): void {
  const isSeen = useRef(true);

  useEffect(() => {
    if (!plot) return;
    const watcher = new IntersectionObserver(([entry]) => {
      isSeen.current = entry?.isIntersecting ?? true;
    });
    watcher.observe(plot.root);
    return () => watcher.disconnect();
  }, [plot]);

  useEffect(() => {
    if (!plot) return;
    const rings = series.map((one) => one.ring);
    let drawnMs = 0;
    let seen = "";
    return onFrame((now) => {
      if (!isSeen.current) return;
      const state = rings.map((ring) => `${ring.length} ${ring.newest?.seconds}`).join();
      const pixelMs = (seconds * 1_000) / Math.max(1, plot.bbox.width);
      const wait = Math.max(atLeastMs, state === seen ? pixelMs : 0);
      if (now - drawnMs < wait) return;
      const from = now / 1_000 - seconds;
      if (state !== seen || rings.length === 1) plot.setData(aligned(rings, from - seconds / 10), false);
      plot.setScale("x", { min: from, max: now / 1_000 });
      drawnMs = now;
      seen = state;
    });
  }, [plot, series, seconds, atLeastMs]);
}
