// What Home asks the server.

import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask } from "~/api/client";
import { chooseSite, type Site } from "~/api/place";
import { Refusal } from "~/api/problem";
import { addDays, startOfDay } from "~/lib/time";
import type { SiteEnergy } from "./today";

const RENEWED_MS = 60_000;
const FILLING_MS = 5_000;
const USUAL_DAYS = 14;
/** Below, history may still be coming in. */
const LEAST_COVERAGE = 0.25;
const USUAL_AGAIN_MS = 20_000;
const MOST_ALERTS = 5;
/** Of larger sites the usual would be thousands of points a device. */
export const MOST_USUAL = 60;

/** Energy of a site; the fetch client forgets that a point is a pair. */
async function askEnergy(site: Site, query: { start: string; end?: string; resolution?: "1h" }): Promise<SiteEnergy> {
  return (await ask(api.GET("/api/v1/sites/{site_id}/energy", { params: { path: { site_id: site.id }, query } }))) as SiteEnergy;
}

/** Energy of a site since midnight. */
export function todayQuery(site: Site) {
  return queryOptions({
    queryKey: ["energy", "today", site.id],
    queryFn: () => {
      const start = new Date(startOfDay(Date.now(), site.time_zone)).toISOString();
      return askEnergy(site, { start });
    },
    // A home that was just made fills within seconds.
    refetchInterval: ({ state }) => (state.data?.total.energy_wh === null ? FILLING_MS : RENEWED_MS),
  });
}

/** Energy by the hour of two weeks before. */
export function usualQuery(site: Site) {
  return queryOptions({
    queryKey: ["energy", "usual", site.id],
    queryFn: () => {
      const end = startOfDay(Date.now(), site.time_zone);
      const start = addDays(end, -USUAL_DAYS, site.time_zone);
      return askEnergy(site, { start: new Date(start).toISOString(), end: new Date(end).toISOString(), resolution: "1h" });
    },
    staleTime: 3_600_000,
    refetchInterval: ({ state }) => (state.data && state.data.total.coverage < LEAST_COVERAGE ? USUAL_AGAIN_MS : false),
  });
}

/** The newest open alerts of a site, or of all. */
export function openAlertsQuery(siteId: string | null) {
  return queryOptions({
    queryKey: ["alerts", "home", siteId],
    queryFn: () => {
      const query = { status: "open" as const, limit: MOST_ALERTS, ...(siteId ? { site_id: siteId } : {}) };
      return ask(api.GET("/api/v1/alerts", { params: { query } }));
    },
    refetchInterval: RENEWED_MS,
  });
}

/** How many alerts are open, by severity. */
export function openCountQuery(siteId: string | null) {
  return queryOptions({
    queryKey: ["alerts", "home count", siteId],
    queryFn: () => {
      const query = { status: "open" as const, ...(siteId ? { site_id: siteId } : {}) };
      return ask(api.GET("/api/v1/alerts/summary", { params: { query } }));
    },
    refetchInterval: RENEWED_MS,
  });
}

/** Makes a home to try and looks at it; where there is one already, that. */
export function useDemoHome(sites: readonly Site[]) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      try {
        return (await ask(api.POST("/api/v1/sites/demo", { body: {} }))).id;
      } catch (error) {
        const there = error instanceof Refusal && error.code === "demo_exists" ? sites.find((site) => error.detail.includes(site.id)) : undefined;
        if (there) return there.id;
        throw error;
      }
    },
    onSuccess: async (id) => {
      await queries.invalidateQueries();
      chooseSite(id);
    },
  });
}
