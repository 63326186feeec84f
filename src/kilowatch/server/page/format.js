// Numbers as people read them: one unit per number, digits as far as they mean something. Pure.

const STEPS = {
  W: [["MW", 1e6, 3], ["kW", 1e3, 2], ["W", 1, 0]],
  var: [["Mvar", 1e6, 3], ["kvar", 1e3, 2], ["var", 1, 0]],
  VA: [["MVA", 1e6, 3], ["kVA", 1e3, 2], ["VA", 1, 0]],
  Wh: [["GWh", 1e9, 2], ["MWh", 1e6, 2], ["kWh", 1e3, 2], ["Wh", 1, 0]],
};
const NAMES = { degC: "°C", m3: "m³", "W/m2": "W/m²", deg: "°" };
const BASE = { kW: ["W", 1e3], MW: ["W", 1e6], kWh: ["Wh", 1e3], MWh: ["Wh", 1e6] };

const numbers = new Map();
function grouped(value, digits) {
  if (!numbers.has(digits)) {
    numbers.set(digits, new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return numbers.get(digits).format(value);
}

/** The unit in which values up to `largest` are shown: { unit, factor, digits }. */
export function chooseUnit(unit, largest) {
  const [base, times] = BASE[unit] ?? [unit, 1];
  const steps = STEPS[base];
  if (!steps) return { unit: NAMES[unit] ?? unit, factor: 1, digits: null };
  const size = Math.abs(largest) * times;
  const [name, per, digits] = steps.find(([, from]) => size >= from) ?? steps[steps.length - 1];
  return { unit: name, factor: times / per, digits };
}

/** A value in its own best unit, such as "1.95 kW"; a word stays a word. */
export function show(value, unit) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  return showIn(value, chooseUnit(unit, value));
}

/** A value in a chosen unit. */
export function showIn(value, scale) {
  if (value === null || value === undefined) return "–";
  const shown = value * scale.factor;
  const text = grouped(shown, digitsFor(shown, scale));
  return scale.unit ? `${text} ${scale.unit}` : text;
}

function digitsFor(shown, scale) {
  if (scale.digits !== null && !scale.unit.endsWith("Wh")) return scale.digits;
  if (scale.unit === "Wh") return 0;
  const size = Math.abs(shown);
  return size < 10 ? 2 : size < 100 ? 1 : 0;
}

/** How long ago something was, in one unit. */
export function showAge(seconds) {
  if (seconds < 2) return "just now";
  const [size, unit] = seconds < 100 ? [1, "s"] : seconds < 6000 ? [60, "min"] : seconds < 172800 ? [3600, "h"] : [86400, "days"];
  return `${Math.round(seconds / size)} ${unit} ago`;
}

/** A share such as a coverage, never rounded up to everything. */
export function showShare(share) {
  if (share >= 0.9999) return "100 %";
  return `${grouped(Math.floor(share * 1000) / 10, share < 0.0995 ? 1 : share > 0.99 ? 1 : 0)} %`;
}

/** A time in a time zone; `fine` adds seconds. */
export function showTime(ms, zone, fine = false) {
  const style = { dateStyle: "medium", timeStyle: fine ? "medium" : "short", timeZone: zone };
  return new Intl.DateTimeFormat(undefined, style).format(ms);
}

/** The hour and minute alone. */
export function showClock(ms, zone) {
  return new Intl.DateTimeFormat(undefined, { timeStyle: "short", timeZone: zone }).format(ms);
}

/** A metric's name for people. */
export function showMetric(name) {
  if (name === "energy_wh") return "Energy";
  const words = name.replaceAll("_", " ").replace("co2", "CO₂");
  return words[0].toUpperCase() + words.slice(1);
}
