// What charts of a span have in common: axes in the site's zone, what is hatched and marked, zoom by dragging, a
// cursor that all of them share.

import uPlot from "uplot";
import { hatching, type Part } from "./hatching";
import { timeAxis, valueAxis } from "./look";
import { marking, type Marker } from "./markers";
import { tips, type TipRow } from "./tips";

export interface ChartFrame {
  readonly span: Part;
  readonly zone: string;
  readonly locale: string;
  readonly unit: string;
  readonly missing: readonly Part[];
  readonly markers: readonly Marker[];
}

export interface FrameHandlers {
  readonly onZoom: (part: Part) => void;
  readonly onReset: () => void;
  /** What is said where the cursor is: a heading and a row for each series. */
  readonly tip: (plot: uPlot) => { heading: string; rows: readonly TipRow[] } | null;
}

type Options = Omit<uPlot.Options, "width" | "height" | "series">;

const LEAST_PX = 6;
const SHARED = new Set(["mousemove", "mouseleave"]);

export function frameOptions(frame: ChartFrame, handlers: FrameHandlers, range: uPlot.Scale.Range): Options {
  const { span, zone, locale, unit } = frame;
  return {
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), zone),
    scales: {
      x: { time: true, range: () => [span.startMs / 1_000, span.endMs / 1_000] },
      y: { range },
    },
    axes: [{ ...timeAxis(zone, locale), size: 34 }, valueAxis(unit, locale)],
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      bind: {
        dblclick: () => () => {
          handlers.onReset();
          return null;
        },
      },
      sync: { key: "history", setSeries: false, scales: ["x", null], filters: { pub: (type) => SHARED.has(type) } },
      points: { size: 6 },
    },
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (width < LEAST_PX) return;
          handlers.onZoom({ startMs: plot.posToVal(left, "x") * 1_000, endMs: plot.posToVal(left + width, "x") * 1_000 });
        },
      ],
    },
    plugins: [hatching(frame.missing), marking(frame.markers), tips(handlers.tip)],
  };
}
