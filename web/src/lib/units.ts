// Numbers as people read them: one unit per number, digits as far as they mean something. Pure.

type Step = readonly [unit: string, per: number, digits: number];

const STEPS: Record<string, readonly Step[]> = {
  W: [["MW", 1e6, 3], ["kW", 1e3, 2], ["W", 1, 0]],
  var: [["Mvar", 1e6, 3], ["kvar", 1e3, 2], ["var", 1, 0]],
  VA: [["MVA", 1e6, 3], ["kVA", 1e3, 2], ["VA", 1, 0]],
  Wh: [["GWh", 1e9, 2], ["MWh", 1e6, 2], ["kWh", 1e3, 2], ["Wh", 1, 0]],
};
const SHOWN: Record<string, string> = { degC: "°C", m3: "m³", "W/m2": "W/m²", deg: "°" };
const IN_SMALLEST: Record<string, readonly [unit: string, times: number]> = {
  kW: ["W", 1e3],
  MW: ["W", 1e6],
  kWh: ["Wh", 1e3],
  MWh: ["Wh", 1e6],
};

/** How values of one diagram are shown: value * factor in `unit`. digits: null where they follow the size. */
export interface Scale {
  readonly unit: string;
  readonly factor: number;
  readonly digits: number | null;
}

const formats = new Map<string, Intl.NumberFormat>();

function grouped(value: number, digits: number, locale: string): string {
  const key = `${locale} ${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(key, format);
  }
  return format.format(value);
}

/** The unit in which all values up to `largest` are shown. */
export function chooseScale(unit: string, largest: number): Scale {
  const [smallest, times] = IN_SMALLEST[unit] ?? [unit, 1];
  const steps = STEPS[smallest];
  if (!steps) return { unit: SHOWN[unit] ?? unit, factor: 1, digits: null };
  const size = Math.abs(largest) * times;
  const found = steps.find(([, from]) => size >= from) ?? (steps[steps.length - 1] as Step);
  const digits = found[0].endsWith("Wh") ? (found[0] === "Wh" ? 0 : null) : found[2];
  return { unit: found[0], factor: times / found[1], digits };
}

/** A value in a chosen unit, such as "1.95 kW"; a dash where there is none. */
export function showIn(value: number | null | undefined, scale: Scale, locale: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = showNumber(value, scale, locale);
  return scale.unit ? `${text}\u00a0${scale.unit}` : text;
}

/** A value in a chosen unit, without its name. */
export function showNumber(value: number, scale: Scale, locale: string): string {
  const shown = value * scale.factor;
  return grouped(shown, scale.digits ?? digitsOf(shown), locale);
}

function digitsOf(shown: number): number {
  const size = Math.abs(shown);
  return size < 10 ? 2 : size < 100 ? 1 : 0;
}

/** A value in its own best unit; a word, such as a state, stays a word. */
export function show(value: number | string | null | undefined, unit: string, locale: string): string {
  if (typeof value === "string") return value;
  return showIn(value, chooseScale(unit, value ?? 0), locale);
}

/** A share such as a coverage, never rounded up to everything. share: 0 to 1. */
export function showShare(share: number, locale: string): string {
  if (share >= 0.9999) return `100\u00a0%`;
  const digits = share < 0.0995 || share > 0.99 ? 1 : 0;
  const floored = Math.floor(share * 100 * 10 ** digits) / 10 ** digits;
  return `${grouped(floored, digits, locale)}\u00a0%`;
}

/** Money with two digits, or what the currency has. amount: a decimal number, as the server writes it. */
export function showMoney(amount: number | string, currency: string, locale: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(Number(amount));
}

/** A metric's name for people. */
export function showMetric(name: string): string {
  if (name === "energy_wh") return "Energy";
  const words = name.replaceAll("_", " ").replace("co2", "CO₂");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
