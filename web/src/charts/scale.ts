// What part of the values a chart shows. Pure.

/** From zero, or from below it where values are negative, to a little above the largest; never an empty range. */
export function rangeFromZero(lowest: number | null, largest: number | null): [number, number] {
  const low = Math.min(0, lowest ?? 0);
  const high = Math.max(0, largest ?? 0);
  if (low === 0 && high === 0) return [0, 1];
  const room = (high - low) * 0.06;
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0];
}

/** Around the values, with room above and below: for what has no meaningful zero, such as a voltage. */
export function rangeAround(lowest: number | null, largest: number | null): [number, number] {
  if (lowest === null || largest === null) return [0, 1];
  const room = (largest - lowest) * 0.1 || Math.abs(largest) * 0.01 || 1;
  return [lowest - room, largest + room];
}

/** Where neighbouring values of a series are more than `limit` apart: both ends of each gap. ts ascends; what is null
or undefined is no value. */
export function gapsIn(
  ts: ArrayLike<number>, values: ArrayLike<number | null | undefined>, limit: number, from = 0, to = ts.length - 1,
): [number, number][] {
  const found: [number, number][] = [];
  let before: number | null = null;
  for (let at = from; at <= to; at += 1) {
    if (values[at] === null || values[at] === undefined) continue;
    const here = ts[at] as number;
    if (before !== null && here - before > limit) found.push([before, here]);
    before = here;
  }
  return found;
}
