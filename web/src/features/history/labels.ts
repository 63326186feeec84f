// How buckets and moments of a chart are called. Pure.

import { showClock, showDay, showDays, showMonth, showTime } from "~/lib/time";
import type { EnergyStep } from "~/period/granularity";
import type { Span } from "~/period/period";

const DAY_MS = 86_400_000;

/** The name of a bucket, such as "14:00–15:00", "Fri, 20 Nov 2026" or "Nov 2026". */
export function bucketName(step: EnergyStep, startMs: number, endMs: number, span: Span, zone: string, locale: string): string {
  if (step === "1mo") return showMonth(startMs, zone, locale);
  if (step === "1d") return showDays(startMs, endMs, zone, locale);
  const clock = `${showClock(startMs, zone, locale)}–${showClock(endMs, zone, locale)}`;
  return span.endMs - span.startMs > 1.1 * DAY_MS ? `${showDay(startMs, zone, locale)}, ${clock}` : clock;
}

/** When a value of a line was measured. */
export function momentName(ms: number, bucketS: number, zone: string, locale: string): string {
  return bucketS >= 86_400 ? showDay(ms, zone, locale) : showTime(ms, zone, locale, bucketS < 60);
}
