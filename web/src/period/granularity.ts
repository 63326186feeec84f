// How finely a span is shown. Nobody is asked; it follows from the span, by the rule of Home Assistant that most people
// know: energy by the hour up to two days, by the month for whole months from 36 days on, else by the day; lines by the
// minute up to two days, by the quarter hour up to eight, by the hour up to 64, else by the day. What is looked at
// closely is shown more finely than that: energy by the quarter hour and every reading up to six hours. Pure.

import { daysBetween, dayOf, isMonthStart, momentOfDay, plusMonths } from "./civil";
import type { Span } from "./period";

export type EnergyStep = "15m" | "1h" | "1d" | "1mo";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;
const CLOSE_S = 6 * HOUR;
const MOST_READINGS = 20_000;

const STEPS: Record<string, number> = { raw: 0, "1m": MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "1d": DAY, "1mo": 30 * DAY };

/** The usual seconds of a bucket; 0 for single readings, and of several days, as "2d", so many. */
export function secondsOf(resolution: string): number {
  return STEPS[resolution] ?? (Number.parseInt(resolution, 10) || 0) * DAY;
}

const secondsIn = (span: Span) => (span.endMs - span.startMs) / 1_000;

/** How finely energy is shown. */
export function energyStep(span: Span, zone: string): EnergyStep {
  const seconds = secondsIn(span);
  if (seconds <= CLOSE_S) return "15m";
  const first = dayOf(span.startMs, zone);
  const end = dayOf(span.endMs, zone);
  const days = daysBetween(first, end);
  if (days <= 2) return "1h";
  const isWhole = momentOfDay(first, zone) === span.startMs && momentOfDay(end, zone) === span.endMs;
  return isWhole && days > 35 && isMonthStart(first) && isMonthStart(end) ? "1mo" : "1d";
}

/** How many points at most a line is asked for, so that the server's choice is the rule's. */
export function mostPoints(span: Span): number {
  const seconds = secondsIn(span);
  if (seconds <= CLOSE_S) return MOST_READINGS;
  const days = seconds / DAY;
  // An hour more than a number of days are still as many days: the clock may go back.
  const isWithin = (most: number) => days <= most + 1 / 24;
  const step = isWithin(2) ? MINUTE : isWithin(8) ? 15 * MINUTE : isWithin(64) ? HOUR : DAY;
  return Math.ceil(seconds / step) + 2;
}

/** The starts of all buckets that have a moment in the span, and the end of the last; milliseconds. */
export function bucketsOf(step: EnergyStep, span: Span, zone: string): number[] {
  if (step === "15m") return evenBuckets(span, 15 * MINUTE * 1_000, 0);
  // Hours are those of the local clock: in zones that are a part of an hour off UTC they begin on that part.
  if (step === "1h") return evenBuckets(span, HOUR * 1_000, momentOfDay(dayOf(span.startMs, zone), zone) % (HOUR * 1_000));
  const first = dayOf(span.startMs, zone);
  const starts: number[] = [];
  const begin = step === "1d" ? first : `${first.slice(0, 7)}-01`;
  for (let at = 0; ; at += 1) {
    const day = step === "1d" ? new Date(Date.parse(`${begin}T00:00:00Z`) + at * DAY * 1_000).toISOString().slice(0, 10) : plusMonths(begin, at);
    const ms = momentOfDay(day, zone);
    starts.push(ms);
    if (ms >= span.endMs) return starts;
  }
}

function evenBuckets({ startMs, endMs }: Span, width: number, offset: number): number[] {
  const starts: number[] = [];
  let at = Math.floor((startMs - offset) / width) * width + offset;
  for (; at < endMs; at += width) starts.push(at);
  return [...starts, at];
}
