// Rings as the columns of one chart. Pure.

import type uPlot from "uplot";
import { join } from "~/charts/join";
import type { Ring } from "./ring";

/** The columns from a time on. One ring is given as it is, without a copy; several are put on common times. */
export function aligned(rings: readonly Ring[], seconds: number): uPlot.AlignedData {
  return join(rings.map((ring) => ring.since(seconds)));
}
