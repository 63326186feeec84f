// Series with times of their own as the columns of one chart. Pure.

import type uPlot from "uplot";

/** Ascending times (seconds) and the values at them. */
export type Columns = readonly [ts: ArrayLike<number>, values: ArrayLike<number | null>];

/** All series on common times. Where one has no value it is undefined, which a line passes over; null breaks it. */
export function join(columns: readonly Columns[]): uPlot.AlignedData {
  const [only] = columns;
  if (!only) return [[]];
  if (columns.length === 1) return only as unknown as uPlot.AlignedData;
  const places = columns.map(() => 0);
  const times: number[] = [];
  const values: (number | null | undefined)[][] = columns.map(() => []);
  for (;;) {
    let next = Infinity;
    for (let at = 0; at < columns.length; at += 1) {
      const time = (columns[at] as Columns)[0][places[at] as number];
      if (time !== undefined && time < next) next = time;
    }
    if (next === Infinity) return [times, ...values] as uPlot.AlignedData;
    times.push(next);
    for (let at = 0; at < columns.length; at += 1) {
      const [ts, value] = columns[at] as Columns;
      const place = places[at] as number;
      const isHere = ts[place] === next;
      (values[at] as (number | null | undefined)[]).push(isHere ? value[place] : undefined);
      if (isHere) places[at] = place + 1;
    }
  }
}
