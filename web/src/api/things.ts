// Devices and metrics by name, for fields in which one is chosen.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";

export type Thing = Schemas["Device"];
export type Metric = Schemas["MetricShown"];

const PAGES_MOST = 4;

/** The first 2,000 devices; others are chosen by their id. */
export const thingsQuery = queryOptions({
  queryKey: ["things"],
  queryFn: async () => {
    const found: Thing[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < PAGES_MOST; page += 1) {
      const got = await ask(api.GET("/api/v1/devices", { params: { query: { limit: 500, cursor } } }));
      found.push(...got.items);
      cursor = got.next_cursor ?? undefined;
      if (!cursor) break;
    }
    return found;
  },
  staleTime: 60_000,
});

export const metricsQuery = queryOptions({
  queryKey: ["metrics"],
  queryFn: async (): Promise<readonly Metric[]> => (await ask(api.GET("/api/v1/metrics"))).items,
  staleTime: 60_000,
});
