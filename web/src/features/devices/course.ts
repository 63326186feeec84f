// A course of values from its past and from what came live. Pure.

import { Ring } from "~/live/ring";

/** The past, then what is newer; nothing stands twice. most: how many values are kept. */
export function joined(past: readonly (readonly [seconds: number, value: number])[], live: Ring, most: number): Ring {
  const ring = new Ring(most);
  const [times, values] = live.since(0);
  let next = 0;
  // Live values may lie between those of the past: what was stored late fills the holes around them.
  for (const [seconds, value] of past) {
    while (next < times.length && (times[next] as number) < seconds) {
      ring.push(times[next] as number, values[next] as number);
      next += 1;
    }
    ring.push(seconds, value);
  }
  for (; next < times.length; next += 1) ring.push(times[next] as number, values[next] as number);
  return ring;
}
