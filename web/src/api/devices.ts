// Devices and their newest values, as several parts of the app need them.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";

export type Device = Schemas["Device"];
export type LatestOfDevice = Schemas["LatestOfDevice"];
export type Command = Schemas["Command"];

const PAGE = 500;
const MOST_COMMANDS = 20;

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

export function deviceQuery(id: string) {
  return queryOptions({
    queryKey: ["devices", "one", id],
    queryFn: () => ask(api.GET("/api/v1/devices/{device_id}", { params: { path: { device_id: id } } })),
  });
}

/** The newest commands to a device. */
export function commandsQuery(id: string) {
  return queryOptions({
    queryKey: ["commands", id],
    queryFn: () => ask(api.GET("/api/v1/devices/{device_id}/commands", { params: { path: { device_id: id }, query: { limit: MOST_COMMANDS } } })),
  });
}

/** Whether a device is likely to hear commands: it can log in, hangs on a gateway, or has answered some before. */
export function hearsCommands(device: Device, commands: readonly Command[]): boolean {
  const hasAnswered = commands.some(({ status }) => status === "succeeded" || status === "failed");
  return device.token_made_at !== null || "gateway" in device.metadata || hasAnswered;
}

/** Sets the state that is kept of a device, and sends it nothing. */
export const putState = (id: string, state: Device["state"]) =>
  ask(api.POST("/api/v1/devices/{device_id}/state", { params: { path: { device_id: id } }, body: { state } }));
