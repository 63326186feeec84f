// What an engine says of itself, with its unit. Pure.

const STEPS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Bytes in the unit in which they are read, as "79.2 GB". */
export function showBytes(bytes: number, locale: string): string {
  const step = bytes < 1 ? 0 : Math.min(STEPS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return new Intl.NumberFormat(locale, { style: "unit", unit: STEPS[step], maximumFractionDigits: 1 }).format(bytes / 1_000 ** step);
}

/** A fact by the unit at the end of its name. */
export function showFact(name: string, value: unknown, locale: string): string {
  if (typeof value !== "number") return String(value);
  if (name.endsWith("bytes")) return showBytes(value, locale);
  const unit = name.endsWith("_s") ? "second" : name.endsWith("percent") ? "percent" : null;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 1, ...(unit && { style: "unit", unit }) }).format(value);
}
