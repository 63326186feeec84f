// A part of a period that is looked at more closely. Pure.

import type { Span } from "./period";

const MINUTE_MS = 60_000;
export const LEAST_MS = 10 * MINUTE_MS;

/** A part in whole minutes, at least ten of them and within the span; null where it is (nearly) all of it. */
export function zoomTo(part: Span, within: Span): Span | null {
  const middle = (part.startMs + part.endMs) / 2;
  const wide = Math.max(LEAST_MS, part.endMs - part.startMs);
  let startMs = Math.floor((middle - wide / 2) / MINUTE_MS) * MINUTE_MS;
  let endMs = Math.ceil((middle + wide / 2) / MINUTE_MS) * MINUTE_MS;
  startMs = Math.max(startMs, within.startMs);
  endMs = Math.min(endMs, within.endMs);
  const isAll = endMs - startMs >= (within.endMs - within.startMs) * 0.98;
  return isAll || endMs - startMs < MINUTE_MS ? null : { startMs, endMs };
}

/** Half of what is seen, around its middle. */
export function zoomIn(seen: Span, within: Span): Span | null {
  const quarter = (seen.endMs - seen.startMs) / 4;
  return zoomTo({ startMs: seen.startMs + quarter, endMs: seen.endMs - quarter }, within);
}

/** Twice as much, or all of it. */
export function zoomOut(seen: Span, within: Span): Span | null {
  const half = (seen.endMs - seen.startMs) / 2;
  return zoomTo({ startMs: seen.startMs - half, endMs: seen.endMs + half }, within);
}

/** A zoom one width earlier or later, as far as there is room. */
export function panned(seen: Span, by: -1 | 1, within: Span): Span {
  const wide = seen.endMs - seen.startMs;
  const startMs = Math.min(Math.max(seen.startMs + by * wide, within.startMs), within.endMs - wide);
  return { startMs, endMs: startMs + wide };
}
