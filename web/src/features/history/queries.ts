// What history asks the server for.

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import type { EnergyStep } from "~/period/granularity";
import type { Span } from "~/period/period";

export type SiteEnergy = Schemas["SiteEnergyShown"];
export type SiteReadings = Schemas["ReadingsOfSite"];
export type Device = Schemas["Device"];
export type Alert = Schemas["Alert"];
export type OutsideEvent = Schemas["EventShown"];

const LIVE_MS = 60_000;
const MOST_MARKS = 200;

const iso = (ms: number) => new Date(ms).toISOString();
const spanQuery = (span: Span) => ({ start: iso(span.startMs), end: iso(span.endMs) });
/** What reaches into the future is asked for again as it grows. */
const isLive = (span: Span) => span.endMs > Date.now();
const freshness = (span: Span) => ({
  staleTime: isLive(span) ? LIVE_MS / 2 : 10 * LIVE_MS,
  refetchInterval: isLive(span) ? LIVE_MS : (false as const),
  placeholderData: keepPreviousData,
});

export interface EnergyAsked {
  readonly site: string;
  readonly span: Span;
  readonly step: EnergyStep;
  /** Ids; none: all of the site. */
  readonly devices: readonly string[];
}

export function energyParams({ site, span, step, devices }: EnergyAsked) {
  return {
    path: { site_id: site },
    query: { ...spanQuery(span), resolution: step, devices: devices.length ? devices.join() : undefined },
  };
}

export const energyQuery = (asked: EnergyAsked | null) =>
  queryOptions({
    queryKey: ["history", "energy", asked],
    queryFn: async () => {
      const answer = await ask(api.GET("/api/v1/sites/{site_id}/energy", { params: energyParams(asked as EnergyAsked) }));
      return answer as SiteEnergy;
    },
    enabled: asked !== null,
    ...(asked ? freshness(asked.span) : {}),
  });

export interface ReadingsAsked {
  readonly site: string;
  readonly span: Span;
  readonly devices: readonly string[];
  readonly metrics: readonly string[];
  readonly most: number;
  /** What the answer said that it is; "auto" before. */
  readonly resolution: string;
}

export function readingsParams({ site, span, devices, metrics, most, resolution }: ReadingsAsked) {
  return {
    path: { site_id: site },
    query: {
      ...spanQuery(span),
      devices: devices.length ? devices.join() : undefined,
      metrics: metrics.join(),
      limit_points: most,
      resolution: resolution as "auto" | "raw" | "1m" | "15m" | "1h" | "1d",
    },
  };
}

export const readingsQuery = (asked: ReadingsAsked | null) =>
  queryOptions({
    queryKey: ["history", "readings", asked],
    queryFn: async () => {
      const answer = await ask(api.GET("/api/v1/sites/{site_id}/readings", { params: readingsParams(asked as ReadingsAsked) }));
      return answer as SiteReadings;
    },
    enabled: asked !== null,
    ...(asked ? freshness(asked.span) : {}),
  });

/** The devices of a site. */
export const devicesQuery = (site: string | null) =>
  queryOptions({
    queryKey: ["history", "devices", site],
    queryFn: async () => {
      const found: Device[] = [];
      let cursor: string | undefined;
      do {
        const query = { site_id: site ?? undefined, limit: 500, cursor };
        const page = await ask(api.GET("/api/v1/devices", { params: { query } }));
        found.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return found;
    },
    enabled: site !== null,
    staleTime: 60_000,
  });

/** What can be drawn as a line: the numbers that the site's devices send, the first 500 of them. */
export const metricsQuery = (site: string | null) =>
  queryOptions({
    queryKey: ["history", "metrics", site],
    queryFn: async () => {
      const query = { site_id: site ?? undefined, limit: 500 };
      const { items } = await ask(api.GET("/api/v1/readings/latest", { params: { query } }));
      const numbers = items.flatMap((one) => one.metrics).filter((one) => typeof one.value === "number");
      return [...new Set(numbers.map((one) => one.metric))].sort();
    },
    enabled: site !== null,
    staleTime: 300_000,
  });

/** The alerts that were raised in a span, the newest first. */
export const alertsQuery = (site: string | null, span: Span) =>
  queryOptions({
    queryKey: ["history", "alerts", site, span],
    queryFn: async () => {
      const query = { ...spanQuery(span), site_id: site ?? undefined, limit: MOST_MARKS };
      return (await ask(api.GET("/api/v1/alerts", { params: { query } }))).items;
    },
    enabled: site !== null,
    ...freshness(span),
  });

/** What happened outside in a span: what concerns energy, and what somebody or a scenario made happen. The rest of a
world's news moves no meter. */
export const eventsQuery = (span: Span, mayRead: boolean) =>
  queryOptions({
    queryKey: ["history", "events", span],
    queryFn: async () => {
      const { items } = await ask(api.GET("/api/v1/simulation/events", { params: { query: spanQuery(span) } }));
      return items.filter((one) => one.type === "energy" || one.origin !== "world").slice(-MOST_MARKS);
    },
    enabled: mayRead,
    ...freshness(span),
  });
