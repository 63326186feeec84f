// Lines that break where nothing was measured, instead of bridging it.

import type uPlot from "uplot";
import { gapsIn } from "./scale";

/** For `series.gaps`: breaks the line where two of its values are more than `limit` seconds apart. */
export function breaksAt(limit: number): Exclude<uPlot.Series.GapsRefiner, uPlot.Series.Gaps> {
  return (plot, series, from, to, known) => {
    const found = gapsIn(plot.data[0], plot.data[series] ?? [], limit, from, to);
    if (!found.length) return known;
    const more = found.map(([begin, end]): uPlot.Series.Gap => [
      Math.round(plot.valToPos(begin, "x", true)),
      Math.round(plot.valToPos(end, "x", true)),
    ]);
    return [...known, ...more].sort((one, other) => one[0] - other[0]);
  };
}
