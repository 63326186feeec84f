// The range that is looked at: its days, its neighbours, what it is compared with. Days are those of the site, so some
// have 23 hours and some 25. Pure.

import {
  dayOf, daysBetween, momentOfDay, plusDays, plusMonths, startOfMonth, startOfQuarter, startOfWeek, startOfYear, type Day,
} from "./civil";

export const RANGES = ["day", "week", "month", "quarter", "year", "7d", "30d", "365d", "12m", "custom"] as const;
export type RangeName = (typeof RANGES)[number];

export const COMPARISONS = ["previous", "year"] as const;
export type Comparison = (typeof COMPARISONS)[number];

/** What was chosen. at: a day of the range (its last of those that roll); null: today, whenever that is. */
export type Period =
  | { readonly range: Exclude<RangeName, "custom">; readonly at: Day | null }
  | { readonly range: "custom"; readonly from: Day; readonly to: Day };

/** Days from `first` to before `end`. */
export interface Days {
  readonly first: Day;
  readonly end: Day;
}

/** Moments from `startMs` to before `endMs`. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

const MONTHS: Partial<Record<RangeName, readonly [startOf: (day: Day) => Day, months: number]>> = {
  month: [startOfMonth, 1],
  quarter: [startOfQuarter, 3],
  year: [startOfYear, 12],
  "12m": [(day) => plusMonths(startOfMonth(day), -11), 12],
};
const ROLLING: Partial<Record<RangeName, number>> = { "7d": 7, "30d": 30, "365d": 365 };

/** The days of a period. */
export function daysOf(period: Period, today: Day): Days {
  if (period.range === "custom") return { first: period.from, end: plusDays(period.to, 1) };
  const at = period.at ?? today;
  const rolling = ROLLING[period.range];
  if (rolling) return { first: plusDays(at, 1 - rolling), end: plusDays(at, 1) };
  const whole = MONTHS[period.range];
  if (whole) {
    const first = whole[0](at);
    return { first, end: plusMonths(first, whole[1]) };
  }
  if (period.range === "week") return { first: startOfWeek(at), end: plusDays(startOfWeek(at), 7) };
  return { first: at, end: plusDays(at, 1) };
}

/** From the midnight that begins the first day to the one that ends the last. */
export function spanOf(days: Days, zone: string): Span {
  return { startMs: momentOfDay(days.first, zone), endMs: momentOfDay(days.end, zone) };
}

/** The period before (-1) or after (1). */
export function move(period: Period, by: -1 | 1, today: Day): Period {
  const { first, end } = daysOf(period, today);
  if (period.range === "custom") {
    const days = daysBetween(first, end) * by;
    return { range: "custom", from: plusDays(period.from, days), to: plusDays(period.to, days) };
  }
  const at = period.at ?? today;
  const rolling = ROLLING[period.range];
  if (rolling) return settle({ range: period.range, at: plusDays(at, rolling * by) }, today);
  const months = MONTHS[period.range]?.[1];
  if (months) return settle({ range: period.range, at: plusMonths(startOfMonth(at), months * by) }, today);
  return settle({ range: period.range, at: by < 0 ? plusDays(first, -1) : end }, today);
}

/** A period that has today in it follows the days as they come. */
function settle(period: Exclude<Period, { range: "custom" }>, today: Day): Period {
  if (ROLLING[period.range]) return period.at !== null && period.at >= today ? { range: period.range, at: null } : period;
  const { first, end } = daysOf(period, today);
  return first <= today && today < end ? { range: period.range, at: null } : period;
}

/** Whether something after the period can be looked at already. */
export function hasNext(period: Period, today: Day): boolean {
  return daysOf(period, today).end <= today;
}

/** The period so many days back of one day, as "yesterday". */
export function dayBefore(today: Day, days: number): Period {
  return { range: "day", at: plusDays(today, -days) };
}

/** The days that a period is compared with. */
export function daysComparedWith(period: Period, how: Comparison, today: Day): Days {
  const days = daysOf(period, today);
  if (how === "previous") return daysOf(move(period, -1, today), today);
  const first = plusMonths(days.first, -12);
  const isWholeMonths = period.range in MONTHS;
  return { first, end: isWholeMonths ? plusMonths(days.end, -12) : plusDays(first, daysBetween(days.first, days.end)) };
}

export function todayIn(zone: string, nowMs: number): Day {
  return dayOf(nowMs, zone);
}
