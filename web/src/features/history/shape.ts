// From what the server says to what charts and tables show. Pure.

import type { Part } from "~/charts/hatching";
import type { Columns } from "~/charts/join";
import { bucketAt, type Amounts } from "~/charts/stack";
import type { EnergyStep } from "~/period/granularity";
import type { Span } from "~/period/period";
import { shifted } from "~/period/shift";

export type Point = readonly [ts: string, value: number | string];

const UNSETTLED_MS = 20 * 60_000;
const PALETTE = 7;
export const OTHERS_COLOR = "--kw-series-8";

/** The colour of the n-th of those that are shown. */
export function colorAt(place: number): string {
  return `--kw-series-${(place % PALETTE) + 1}`;
}

/** An amount for each bucket, null where none is known; what falls into the same bucket is added. */
export function amountsOf(points: readonly Point[], edges: readonly number[], place: (ms: number, at: number) => number = (ms) => ms): (number | null)[] {
  const amounts: (number | null)[] = Array.from({ length: Math.max(0, edges.length - 1) }, () => null);
  points.forEach(([ts, value], at) => {
    const bucket = bucketAt(edges, place(Date.parse(ts), at));
    if (bucket >= 0 && typeof value === "number") amounts[bucket] = (amounts[bucket] ?? 0) + value;
  });
  return amounts;
}

/** What is compared by the buckets of what it is compared with: months by their number, all else by the clock. */
export function comparedAmounts(
  points: readonly Point[], step: EnergyStep, edges: readonly number[], ownEdges: readonly number[], own: Span, span: Span, zone: string,
): (number | null)[] {
  if (step !== "1mo") return amountsOf(points, edges, (ms) => shifted(ms, own, span, zone));
  return amountsOf(points, edges, (ms) => edges[bucketAt(ownEdges, ms)] ?? Infinity);
}

/** Sums that say nothing where no part does. */
export function sumOf(rows: readonly Amounts[]): (number | null)[] {
  const most = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: most }, (_, at) => total(rows.map((row) => row[at] ?? null)));
}

export function total(values: Amounts): number | null {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
}

/** The buckets that are over and of which nothing is known, neighbours together. The newest may still be counted. */
export function missingBuckets(amounts: Amounts, edges: readonly number[], nowMs: number): Part[] {
  const parts: Part[] = [];
  amounts.forEach((amount, at) => {
    const startMs = edges[at] as number;
    const endMs = edges[at + 1] as number;
    if (amount !== null || endMs > nowMs - UNSETTLED_MS) return;
    const last = parts[parts.length - 1];
    if (last?.endMs === startMs) parts[parts.length - 1] = { startMs: last.startMs, endMs };
    else parts.push({ startMs, endMs });
  });
  return parts;
}

/** How far apart the values of a series usually are, seconds: the middle of all distances, or a bucket. */
export function usualSpacing(ts: readonly number[], bucket: number): number {
  const apart = ts.slice(1).map((time, at) => time - (ts[at] as number)).sort((one, other) => one - other);
  return Math.max(bucket, apart[apart.length >> 1] ?? 0, 1);
}

const GAP = 2.5;

/** A series as columns in seconds; where values are missing a null breaks the line. place: moves times, milliseconds. */
export function columnsOf(points: readonly Point[], bucket: number, place: (ms: number) => number = (ms) => ms): Columns {
  const known = points.filter((point): point is readonly [string, number] => typeof point[1] === "number");
  const times = known.map(([ts]) => place(Date.parse(ts)) / 1_000);
  const spacing = usualSpacing(times, bucket);
  const ts: number[] = [];
  const values: (number | null)[] = [];
  times.forEach((time, at) => {
    const before = times[at - 1];
    // A clock that went back puts two values on the same time; the later one is kept out.
    if (before !== undefined && time <= before) return;
    if (before !== undefined && time - before > spacing * GAP) {
      ts.push(before + spacing);
      values.push(null);
    }
    ts.push(time);
    values.push((known[at] as readonly [string, number])[1]);
  });
  return [ts, values];
}

/** Where nothing at all was measured within a span, as far as it is past. */
export function silences(series: readonly Columns[], bucket: number, span: Span, nowMs: number): Part[] {
  const times = [...new Set(series.flatMap(([ts, values]) => Array.from(ts).filter((_, at) => values[at] !== null)))].sort((one, other) => one - other);
  const endMs = Math.min(span.endMs, nowMs);
  if (endMs <= span.startMs) return [];
  if (!times.length) return [{ startMs: span.startMs, endMs }];
  const spacing = usualSpacing(times, bucket) * 1_000;
  const parts: Part[] = [];
  let heardMs = span.startMs;
  for (const ms of [...times.map((seconds) => seconds * 1_000), endMs]) {
    if (ms - heardMs > spacing * GAP) parts.push({ startMs: heardMs, endMs: Math.min(ms, endMs) });
    heardMs = Math.max(heardMs, ms + spacing);
  }
  return parts;
}

export interface Source {
  readonly id: string;
  readonly name: string;
  readonly color: string;
  readonly energyWh: number | null;
  readonly coverage: number;
  readonly comparedWh: number | null;
}

interface Named {
  readonly device: string;
  readonly name: string;
  readonly energy_wh: number | null;
  readonly coverage: number;
}

/** The devices with their energy, the largest first; compared: the same ones of the other span, if there is one; order:
all devices of the site: where there are few, each keeps its colour whatever its rank. */
export function sourcesOf(devices: readonly Named[], compared: readonly Named[] | null, order: readonly string[] = []): Source[] {
  const before = new Map(compared?.map((one) => [one.device, one.energy_wh]));
  return [...devices]
    .sort((one, other) => Math.abs(other.energy_wh ?? 0) - Math.abs(one.energy_wh ?? 0) || one.name.localeCompare(other.name))
    .map((one, place) => ({
      id: one.device,
      name: one.name,
      color: colorIn(order, one.device, place),
      energyWh: one.energy_wh,
      coverage: one.coverage,
      comparedWh: before.get(one.device) ?? null,
    }));
}

function colorIn(order: readonly string[], id: string, rank: number): string {
  const place = order.length <= PALETTE ? order.indexOf(id) : -1;
  if (place >= 0) return colorAt(place);
  return rank < PALETTE ? colorAt(rank) : OTHERS_COLOR;
}

/** Those that are drawn by themselves, and those that are put together because there are too many. */
export function split(sources: readonly Source[]): [own: Source[], rest: Source[]] {
  return [sources.slice(0, PALETTE), sources.slice(PALETTE)];
}

/** What energy costs, in the site's currency. */
export function costOf(energyWh: number | null, pricePerKwh: string): number | null {
  return energyWh === null ? null : (energyWh / 1_000) * Number(pricePerKwh);
}
