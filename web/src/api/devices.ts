// Devices and their newest values, as several parts of the app need them.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";

export type Device = Schemas["Device"];
export type LatestOfDevice = Schemas["LatestOfDevice"];

const PAGE = 500;

/** All devices of a site, or of all sites. */
export function siteDevicesQuery(siteId: string | null) {
  return queryOptions({
    queryKey: ["devices", "site", siteId],
    queryFn: async () => {
      const found: Device[] = [];
      let cursor: string | undefined;
      do {
        const query = { limit: PAGE, cursor, ...(siteId ? { site_id: siteId } : {}) };
        const page = await ask(api.GET("/api/v1/devices", { params: { query } }));
        found.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return found;
    },
    staleTime: 30_000,
  });
}

/** The newest value of every metric of the devices of a site, or of all sites. */
export function latestQuery(siteId: string | null) {
  return queryOptions({
    queryKey: ["latest", siteId],
    queryFn: async () => {
      const query = siteId ? { site_id: siteId } : {};
      return (await ask(api.GET("/api/v1/readings/latest", { params: { query } }))).items;
    },
    staleTime: 5_000,
  });
}
