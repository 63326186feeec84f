// What the pages about devices ask the server.

import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { commandsQuery, deviceQuery, putState, type Device } from "~/api/devices";

export type DeviceWanted = Schemas["DeviceWanted"];
export type DeviceChanges = Schemas["DeviceChanges"];
export type Health = Schemas["HealthShown"];
export type HealthPart = Schemas["HealthPart"];

const PAGE = 500;
export const MOST_POINTS = 100_000;

const byId = (device: string) => ({ path: { device_id: device } });

/** The devices of a site or of all, page by page. */
export function devicePagesQuery(siteId: string | null) {
  return infiniteQueryOptions({
    queryKey: ["devices", "pages", siteId],
    queryFn: ({ pageParam }) => {
      const query = { limit: PAGE, cursor: pageParam, ...(siteId ? { site_id: siteId } : {}) };
      return ask(api.GET("/api/v1/devices", { params: { query } }));
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });
}

export function healthQuery(id: string) {
  return queryOptions({
    queryKey: ["devices", "health", id],
    queryFn: () => ask(api.GET("/api/v1/devices/{device_id}/health", { params: byId(id) })),
    refetchInterval: 60_000,
  });
}

export function deviceAlertsQuery(id: string) {
  return queryOptions({
    queryKey: ["alerts", "device", id],
    queryFn: () => ask(api.GET("/api/v1/alerts", { params: { query: { device_id: id, limit: 5 } } })),
  });
}

type Readings = Schemas["Readings"];

/** Readings; the fetch client takes the other forms of the answer for possible, too. */
async function askReadings(device: string, query: { start: string; metrics?: string; resolution: "auto" | "1h"; limit_points?: number }): Promise<Readings> {
  return (await ask(api.GET("/api/v1/devices/{device_id}/readings", { params: { ...byId(device), query } }))) as Readings;
}

const secondsAgo = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString();

/** What a device measures as numbers, with units. */
export function metricsQuery(id: string) {
  return queryOptions({
    queryKey: ["devices", "metrics", id],
    queryFn: async () => {
      const { series } = await askReadings(id, { start: secondsAgo(3_600), resolution: "1h" });
      return series.filter(({ kind }) => kind !== "state").map(({ metric, unit }) => ({ metric, unit }));
    },
    staleTime: 60_000,
  });
}

/** Values of a metric from so many seconds ago until now, as fine as fits. */
export async function fetchPast(device: string, metric: string, seconds: number): Promise<[seconds: number, value: number][]> {
  const { series } = await askReadings(device, { start: secondsAgo(seconds), metrics: metric, resolution: "auto", limit_points: MOST_POINTS });
  return (series[0]?.points ?? []).flatMap(([ts, value]): [number, number][] => (typeof value === "number" ? [[Date.parse(ts) / 1_000, value]] : []));
}

/** After something about devices changed: they are asked for anew. */
function useRenewal() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["devices"] });
}

export function useCreateDevice() {
  const renew = useRenewal();
  return useMutation({
    mutationFn: (wanted: DeviceWanted) => ask(api.POST("/api/v1/devices", { body: wanted })),
    onSuccess: renew,
  });
}

export function useChangeDevice(id: string) {
  const renew = useRenewal();
  return useMutation({
    mutationFn: (changes: DeviceChanges) => ask(api.PATCH("/api/v1/devices/{device_id}", { params: byId(id), body: changes })),
    onSuccess: renew,
  });
}

export function useDeleteDevice(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/devices/{device_id}", { params: byId(id) })),
    onSuccess: () => {
      queries.removeQueries({ queryKey: ["devices", "one", id] });
      void queries.invalidateQueries({ queryKey: ["devices", "pages"] });
      void queries.invalidateQueries({ queryKey: ["devices", "site"] });
    },
  });
}

export function useSetState(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (state: Device["state"]) => putState(id, state),
    onSuccess: (device) => queries.setQueryData(deviceQuery(id).queryKey, device),
  });
}

export function useSendCommand(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wanted: { name: string; arguments: Record<string, unknown> }) => {
      // One key a click: a repeated request stores nothing twice.
      const header = { "Idempotency-Key": crypto.randomUUID() };
      return ask(api.POST("/api/v1/devices/{device_id}/commands", { params: { ...byId(id), header }, body: { ...wanted, expires_in_s: 300 } }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: commandsQuery(id).queryKey }),
  });
}

export function useCancelCommand(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (command: string) => ask(api.POST("/api/v1/commands/{command_id}/cancel", { params: { path: { command_id: command } } })),
    onSettled: () => queries.invalidateQueries({ queryKey: commandsQuery(id).queryKey }),
  });
}

export function useMakeToken(id: string) {
  const renew = useRenewal();
  return useMutation({
    mutationFn: () => ask(api.POST("/api/v1/devices/{device_id}/token", { params: byId(id) })),
    onSuccess: renew,
  });
}

export function useEndToken(id: string) {
  const renew = useRenewal();
  return useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/devices/{device_id}/token", { params: byId(id) })),
    onSuccess: renew,
  });
}
