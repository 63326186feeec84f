// What is looked at as it stands in the address, and back. What the address says wrong is left out, never trusted. Pure.

import { isDay } from "./civil";
import { COMPARISONS, RANGES, type Comparison, type Period, type Span } from "./period";

export interface View {
  /** The id of the site; null: the one that the reader chose. */
  readonly site: string | null;
  readonly period: Period;
  readonly zoom: Span | null;
  readonly compare: Comparison | null;
  /** Ids; none: the whole site. */
  readonly devices: readonly string[];
  readonly metrics: readonly string[];
  /** The one device that is not hidden; null: none is. */
  readonly only: string | null;
}

export type Search = Readonly<Record<string, string | undefined>>;

const DEVICE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const SITE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const METRIC = /^[a-z][a-z0-9_]{0,63}$/;
const ZOOM = /^(\d{6,10})-(\d{6,10})$/;
export const MOST_DEVICES = 20;
const MOST_METRICS = 6;

const text = (search: Record<string, unknown>, name: string) => {
  const value = search[name];
  return ["string", "number", "boolean"].includes(typeof value) ? String(value) : "";
};

function listOf(value: string, form: RegExp, most: number): string[] {
  return [...new Set(value.split(",").filter((one) => form.test(one)))].slice(0, most);
}

function periodOf(search: Record<string, unknown>): Period {
  const from = text(search, "from");
  const to = text(search, "to");
  const range = RANGES.find((one) => one === search.range) ?? "day";
  if (range === "custom") {
    return isDay(from) && isDay(to) && from <= to ? { range, from, to } : { range: "day", at: null };
  }
  const at = text(search, "at");
  return { range, at: isDay(at) ? at : null };
}

/** What an address says; what it leaves open is today, of the whole site, in power. */
export function readView(search: Record<string, unknown>): View {
  const zoom = ZOOM.exec(text(search, "zoom"));
  const [startMs, endMs] = [Number(zoom?.[1]) * 60_000, Number(zoom?.[2]) * 60_000];
  const metrics = listOf(text(search, "metrics"), METRIC, MOST_METRICS);
  const [only] = listOf(text(search, "only"), DEVICE, 1);
  const [site] = listOf(text(search, "site"), SITE, 1);
  return {
    site: site ?? null,
    period: periodOf(search),
    zoom: endMs > startMs ? { startMs, endMs } : null,
    compare: COMPARISONS.find((one) => one === search.compare) ?? null,
    devices: listOf(text(search, "devices"), DEVICE, MOST_DEVICES),
    metrics: metrics.length ? metrics : ["power"],
    only: only ?? null,
  };
}

/** The address of a view: only what differs from what it would say without. */
export function searchOf(view: View): Search {
  const { site, period, zoom, compare, devices, metrics, only } = view;
  return {
    site: site ?? undefined,
    range: period.range === "day" ? undefined : period.range,
    at: period.range === "custom" ? undefined : (period.at ?? undefined),
    from: period.range === "custom" ? period.from : undefined,
    to: period.range === "custom" ? period.to : undefined,
    zoom: zoom ? `${Math.round(zoom.startMs / 60_000)}-${Math.round(zoom.endMs / 60_000)}` : undefined,
    compare: compare ?? undefined,
    devices: devices.length ? devices.join() : undefined,
    metrics: metrics.join() === "power" ? undefined : metrics.join(),
    only: only ?? undefined,
  };
}
