// Values over time as lines: they break where nothing was measured; what is compared is dashed and fainter.

import { useMemo } from "react";
import type uPlot from "uplot";
import { showClock, showTime } from "~/lib/time";
import { show } from "~/lib/units";
import { frameOptions, type ChartFrame } from "./frame";
import type { Part } from "./hatching";
import { join, type Columns } from "./join";
import { colorOf } from "./look";
import { Plot } from "./plot";
import { rangeAround, rangeFromZero } from "./scale";

export interface LineSeries {
  readonly label: string;
  /** A colour variable. */
  readonly color: string;
  /** Times in seconds. */
  readonly columns: Columns;
  readonly isCompared?: boolean;
}

/** Keep what is not a text or number (useMemo, useCallback): the chart is made anew when it changes. */
interface LineChartProps {
  readonly frame: ChartFrame;
  readonly series: readonly LineSeries[];
  readonly height: number;
  readonly label: string;
  readonly onZoom: (part: Part) => void;
  readonly onReset: () => void;
}

/** Units whose zero says something; other values are shown around where they are. */
const FROM_ZERO = new Set(["W", "kW", "VA", "var", "A", "%", "Wh", "kWh", "W/m2", ""]);

function nearest(ts: ArrayLike<number>, values: ArrayLike<number | null | undefined>, at: number): number | null {
  for (let off = 0; off < 40; off += 1) {
    for (const place of [at - off, at + off]) {
      const value = place >= 0 && place < ts.length ? values[place] : undefined;
      if (value !== null && value !== undefined) return value;
    }
  }
  return null;
}

export function LineChart({ frame, series, height, label, onZoom, onReset }: LineChartProps) {
  const data = useMemo(() => join(series.map((one) => one.columns)), [series]);

  const options = useMemo((): Omit<uPlot.Options, "width" | "height"> => {
    const { unit, locale, zone, span } = frame;
    const choose = FROM_ZERO.has(unit) ? rangeFromZero : rangeAround;
    const isLong = span.endMs - span.startMs > 90_000_000;
    const common = frameOptions(frame, {
      onZoom,
      onReset,
      tip: (plot) => {
        const at = plot.cursor.idx;
        const seconds = at === null || at === undefined ? undefined : plot.data[0][at];
        if (at === null || at === undefined || seconds === undefined) return null;
        const heading = isLong ? showTime(seconds * 1_000, zone, locale) : showClock(seconds * 1_000, zone, locale);
        const rows = series.map(({ label: name, color }, of) => (
          { label: name, color, text: show(nearest(plot.data[0], plot.data[of + 1] ?? [], at), unit, locale) }
        ));
        return { heading, rows };
      },
    }, (_plot, lowest, largest) => choose(lowest, largest));
    return {
      ...common,
      series: [
        {},
        ...series.map((one): uPlot.Series => ({
          label: one.label,
          stroke: () => colorOf(one.color),
          width: 1.5,
          ...(one.isCompared ? { dash: [5, 4], alpha: 0.6 } : {}),
          points: { size: 4 },
        })),
      ],
    };
  }, [frame, series, onZoom, onReset]);

  return <Plot options={options} data={data} height={height} label={label} />;
}
