// Puts what is compared under what it is compared with: at the same time of the same day of its period. Pure.

import { momentOf, wallMs } from "~/lib/time";
import type { Span } from "./period";

/** A moment of one span at the place that it has in another, by what the clock shows: 07:00 of the third day comes to
lie on 07:00 of the third day, whatever the clock did in between. */
export function shifted(ms: number, from: Span, to: Span, zone: string): number {
  return momentOf(wallMs(ms, zone) - wallMs(from.startMs, zone) + wallMs(to.startMs, zone), zone);
}

/** A part of a span at its place in another one. */
export function shiftedSpan(part: Span, from: Span, to: Span, zone: string): Span {
  return { startMs: shifted(part.startMs, from, to, zone), endMs: shifted(part.endMs, from, to, zone) };
}
