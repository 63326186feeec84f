// Readings of what is looked at as lines, one chart for each unit; the same of what it is compared with.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Site } from "~/api/place";
import type { LineSeries } from "~/charts/line-chart";
import { mostPoints, secondsOf } from "~/period/granularity";
import type { View } from "~/period/search";
import { shifted } from "~/period/shift";
import type { Span } from "~/period/period";
import { readingsQuery, type Device, type ReadingsAsked, type SiteReadings } from "./queries";
import { colorAt, columnsOf, type Source } from "./shape";
import type { Look } from "./use-view";

export interface Line extends LineSeries {
  readonly device: string;
  readonly coverage: number;
}

/** The lines of one unit. */
export interface Lines {
  readonly unit: string;
  readonly metrics: readonly string[];
  readonly resolution: string;
  readonly lines: readonly Line[];
}

const MOST_LINES = 8;

/** Whose lines are drawn: what was chosen, or all of a small site, or those of a large one that used most. null: not yet known. */
export function devicesOfLines(chosen: readonly string[], devices: readonly Device[] | undefined, sources: readonly Source[] | undefined): readonly string[] | null {
  if (chosen.length) return chosen;
  if (!devices) return null;
  if (devices.length <= MOST_LINES) return devices.map((one) => one.id);
  return sources ? sources.slice(0, MOST_LINES).map((one) => one.id) : null;
}

interface Drawn {
  readonly document: SiteReadings;
  readonly before: SiteReadings | null;
  readonly seen: Span;
  readonly compared: Span | null;
  readonly zone: string;
  readonly colors: ReadonlyMap<string, string>;
  /** The name of a metric. */
  readonly named: (metric: string) => string;
}

interface Sorted {
  readonly resolution: string;
  readonly metrics: Set<string>;
  readonly lines: Line[];
}

function collect(units: Map<string, Sorted>, document: SiteReadings, drawn: Drawn, place: ((ms: number) => number) | null, isMany: boolean): void {
  document.devices.forEach(({ device, name, series }, at) => {
    for (const one of series) {
      if (one.kind === "state") continue;
      const entry: Sorted = units.get(one.unit) ?? { resolution: one.resolution, metrics: new Set(), lines: [] };
      units.set(one.unit, entry);
      entry.metrics.add(one.metric);
      entry.lines.push({
        device,
        label: isMany ? `${name} · ${drawn.named(one.metric)}` : name,
        color: drawn.colors.get(device) ?? colorAt(at),
        columns: columnsOf(one.points, secondsOf(one.resolution), place ?? undefined),
        coverage: one.coverage,
        isCompared: place !== null,
      });
    }
  });
}

function linesOf(drawn: Drawn): Lines[] {
  const { document, before, seen, compared, zone } = drawn;
  const units = new Map<string, Sorted>();
  const unitsOf = document.devices.map(({ series }) => series.map((one) => one.unit));
  // One name is enough where no device has two lines in one chart.
  const isMany = unitsOf.some((own) => new Set(own).size < own.length);
  collect(units, document, drawn, null, isMany);
  if (before && compared) collect(units, before, drawn, (ms) => shifted(ms, compared, seen, zone), isMany);
  return [...units].map(([unit, { metrics, ...rest }]) => ({ unit, metrics: [...metrics], ...rest }));
}

export function useLines(view: View, look: Look, site: Site, devices: readonly string[] | null, sources: readonly Source[] | undefined, named: Drawn["named"]) {
  const { seen, compared } = look;
  const asked: ReadingsAsked | null = devices?.length
    ? { site: site.id, span: seen, devices, metrics: view.metrics, most: mostPoints(seen), resolution: "auto" }
    : null;
  const askedBefore = asked && compared && { ...asked, span: compared };
  const now = useQuery(readingsQuery(asked));
  const then = useQuery(readingsQuery(askedBefore));
  const before = compared ? (then.data ?? null) : null;
  const colors = useMemo(() => new Map(sources?.map((one) => [one.id, one.color])), [sources]);

  const lines = useMemo(
    () => now.data && linesOf({ document: now.data, before, seen, compared, zone: site.time_zone, colors, named }),
    [now.data, before, seen, compared, site.time_zone, colors, named],
  );
  return { asked, askedBefore, query: now, lines, told: now.data?.resolution, toldBefore: before?.resolution };
}
