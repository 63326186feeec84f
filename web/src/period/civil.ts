// Days of the calendar, without time or zone, as texts such as "2026-11-20". Pure.

import { momentOf, wallMs } from "~/lib/time";

export type Day = string;

const DAY_MS = 86_400_000;
const FORM = /^\d{4}-\d{2}-\d{2}$/;

const msOf = (day: Day) => Date.parse(`${day}T00:00:00Z`);
const dayAt = (ms: number): Day => new Date(ms).toISOString().slice(0, 10);

/** Whether a text is a day that the calendar has. */
export function isDay(text: string): boolean {
  if (!FORM.test(text)) return false;
  const ms = msOf(text);
  return Number.isFinite(ms) && dayAt(ms) === text && text >= "1970-01-02" && text < "2199-12-31";
}

/** The day of a moment in a zone. */
export function dayOf(ms: number, zone: string): Day {
  return dayAt(wallMs(ms, zone));
}

/** The moment at which a day begins in a zone. */
export function momentOfDay(day: Day, zone: string): number {
  return momentOf(msOf(day), zone);
}

export function plusDays(day: Day, days: number): Day {
  return dayAt(msOf(day) + days * DAY_MS);
}

/** The same day of another month, or that month's last. */
export function plusMonths(day: Day, months: number): Day {
  const [year, month, date] = day.split("-").map(Number) as [number, number, number];
  const last = new Date(Date.UTC(year, month + months, 0));
  return dayAt(Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), Math.min(date, last.getUTCDate())));
}

/** How many days lie between: 0 from a day to itself. */
export function daysBetween(from: Day, to: Day): number {
  return Math.round((msOf(to) - msOf(from)) / DAY_MS);
}

/** The Monday of the week. */
export function startOfWeek(day: Day): Day {
  return plusDays(day, -((new Date(msOf(day)).getUTCDay() + 6) % 7));
}

export function startOfMonth(day: Day): Day {
  return `${day.slice(0, 7)}-01`;
}

export function startOfQuarter(day: Day): Day {
  const month = Number(day.slice(5, 7));
  return `${day.slice(0, 4)}-${String(month - ((month - 1) % 3)).padStart(2, "0")}-01`;
}

export function startOfYear(day: Day): Day {
  return `${day.slice(0, 4)}-01-01`;
}

/** Whether a month begins with the day. */
export function isMonthStart(day: Day): boolean {
  return day.endsWith("-01");
}
