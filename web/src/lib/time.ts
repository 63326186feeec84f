// Moments as people read them, in the time zone of a site. Pure; ms are milliseconds since 1970, UTC.

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(locale: string, zone: string, style: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${zone} ${JSON.stringify(style)}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { ...style, timeZone: zone });
    formats.set(key, format);
  }
  return format;
}

/** Day and time; `fine` adds seconds. */
export function showTime(ms: number, zone: string, locale: string, fine = false): string {
  return formatOf(locale, zone, { dateStyle: "medium", timeStyle: fine ? "medium" : "short" }).format(ms);
}

/** Hour and minute; `fine` adds seconds. */
export function showClock(ms: number, zone: string, locale: string, fine = false): string {
  return formatOf(locale, zone, { timeStyle: fine ? "medium" : "short" }).format(ms);
}

/** The day. */
export function showDay(ms: number, zone: string, locale: string): string {
  return formatOf(locale, zone, { dateStyle: "medium" }).format(ms);
}

/** Month and year. */
export function showMonth(ms: number, zone: string, locale: string): string {
  return formatOf(locale, zone, { month: "short", year: "numeric" }).format(ms);
}

/** The days from a moment to before another one, such as "1 – 30 Nov 2026"; one day with its weekday. */
export function showDays(startMs: number, endMs: number, zone: string, locale: string): string {
  const isOne = endMs - startMs < 93_600_000 && showDay(startMs, zone, locale) === showDay(endMs - 1, zone, locale);
  const style: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", year: "numeric" };
  if (isOne) return formatOf(locale, zone, { ...style, weekday: "short" }).format(startMs);
  return formatOf(locale, zone, style).formatRange(startMs, endMs - 1);
}

const AGES: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["second", 100],
  ["minute", 6_000],
  ["hour", 172_800],
  ["day", Infinity],
];
const LENGTH_S: Record<string, number> = { second: 1, minute: 60, hour: 3_600, day: 86_400 };

/** How long ago something was, in one unit. */
export function showAge(seconds: number, locale: string): string {
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  if (seconds < 2) return words.format(0, "second");
  const [unit] = AGES.find(([, below]) => seconds < below) ?? ["day" as const];
  return words.format(-Math.round(seconds / (LENGTH_S[unit] ?? 1)), unit);
}

/** A length of time in its two largest units, such as "2 h 5 min". */
export function showDuration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

const WALL: Intl.DateTimeFormatOptions = {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
};

/** What a clock in the zone shows, as if it were UTC. */
export function wallMs(ms: number, zone: string): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf("en-US", zone, WALL).formatToParts(ms)) part[type] = Number(value);
  return Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute, part.second) + (((ms % 1000) + 1000) % 1000);
}

/** The moment at which a clock in the zone shows `wall`; where it shows it twice the first, where never the next. */
export function momentOf(wall: number, zone: string): number {
  const guess = wall - (wallMs(wall, zone) - wall);
  const offsets = [guess - 86_400_000, guess, guess + 86_400_000].map((at) => wallMs(at, zone) - at);
  const fits = offsets.map((offset) => wall - offset).filter((at) => wallMs(at, zone) === wall);
  return fits.length ? Math.min(...fits) : wall - Math.min(...offsets);
}

/** The midnight at which the day of a moment begins in the zone. */
export function startOfDay(ms: number, zone: string): number {
  const wall = wallMs(ms, zone);
  return momentOf(wall - (((wall % 86_400_000) + 86_400_000) % 86_400_000), zone);
}

/** The midnight so many days later (or earlier) in the zone. */
export function addDays(ms: number, days: number, zone: string): number {
  return momentOf(wallMs(ms, zone) + days * 86_400_000, zone);
}
