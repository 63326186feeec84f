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

const LEAST_S = 4;

/** For each distance between two neighbouring times how long it usually is around there, seconds: the second longest of
the two before and the two after it, so that one gap makes no difference and readings that become denser make none; at
least a bucket. The server's coverage is counted in the same way. */
export function usualSpacings(ts: readonly number[], bucket: number): number[] {
  const apart = ts.slice(1).map((time, at) => time - (ts[at] as number));
  const middle = [...apart].sort((one, other) => one - other)[(apart.length - 1) >> 1] ?? 0;
  const least = Math.max(bucket, LEAST_S);
  return apart.map((_, at) => {
    const around = [at - 2, at - 1, at + 1, at + 2].map((near) => apart[near] ?? middle).sort((one, other) => other - one);
    return Math.max(around[1] as number, least);
  });
}

const GAP = 2.5;

/** A series as columns in seconds; where values are missing a null breaks the line. place: moves times, milliseconds. */
export function columnsOf(points: readonly Point[], bucket: number, place: (ms: number) => number = (ms) => ms): Columns {
  const known = points.filter((point): point is readonly [string, number] => typeof point[1] === "number");
  const times = known.map(([ts]) => place(Date.parse(ts)) / 1_000);
  const usual = usualSpacings(times, bucket);
  const ts: number[] = [];
  const values: (number | null)[] = [];
  times.forEach((time, at) => {
    const before = times[at - 1];
    // A clock that went back puts two values on the same time; the later one is kept out.
    if (before !== undefined && time <= before) return;
    const spacing = usual[at - 1] ?? 0;
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
  const usual = usualSpacings(times, bucket);
  const atEdge = Math.max(bucket, LEAST_S);
  const parts: Part[] = [];
  const take = (fromMs: number, toMs: number, spacing: number) => {
    if (toMs - fromMs > spacing * (GAP - 1) * 1_000) parts.push({ startMs: fromMs, endMs: toMs });
  };
  take(span.startMs, Math.min((times[0] as number) * 1_000, endMs), (usual[0] ?? atEdge) * 2);
  usual.forEach((spacing, at) => take(((times[at] as number) + spacing) * 1_000, Math.min((times[at + 1] as number) * 1_000, endMs), spacing));
  const last = usual[usual.length - 1] ?? atEdge;
  take(((times[times.length - 1] as number) + last) * 1_000, endMs, last);
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
