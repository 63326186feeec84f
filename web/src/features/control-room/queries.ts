// Everything that the control room asks for.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { newest } from "~/live/hooks";
import { counterOf } from "./fleet";

const PAGE = 500;

/** All devices, and their newest values put where live ones go. */
export const fleetQuery = queryOptions({
  queryKey: ["control-room", "fleet"],
  queryFn: async () => {
    const [devices] = await Promise.all([allDevices(), allLatest()]);
    return devices;
  },
  staleTime: 300_000,
});

async function allDevices(): Promise<Schemas["Device"][]> {
  const found: Schemas["Device"][] = [];
  let cursor: string | undefined;
  do {
    const page = await ask(api.GET("/api/v1/devices", { params: { query: { limit: PAGE, cursor } } }));
    found.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return found;
}

async function allLatest(): Promise<void> {
  let cursor: string | undefined;
  do {
    const page = await ask(api.GET("/api/v1/readings/latest", { params: { query: { limit: PAGE, cursor } } }));
    for (const { device, metrics } of page.items) {
      for (const { metric, ts, value } of metrics) newest.put(device, metric, Date.parse(ts), value);
    }
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
}

export interface Figures {
  readonly ms: number;
  /** Readings that were ever accepted; null where the figures do not say. */
  readonly accepted: number | null;
  readonly lagS: number | null;
}

export const figuresQuery = queryOptions({
  queryKey: ["control-room", "figures"],
  queryFn: async (): Promise<Figures> => {
    const text = await (await fetch("/metrics")).text();
    return {
      ms: Date.now(),
      accepted: counterOf(text, "kilowatch_readings_accepted_total"),
      lagS: counterOf(text, "kilowatch_worker_lag_seconds"),
    };
  },
  // A rate needs two looks, so the second one comes soon.
  refetchInterval: ({ state }) => (state.dataUpdateCount < 2 ? 1_500 : 5_000),
});

export const alarmsQuery = queryOptions({
  queryKey: ["control-room", "alarms"],
  queryFn: async () => (await ask(api.GET("/api/v1/alerts", { params: { query: { status: "open", limit: 20 } } }))).items,
  refetchInterval: 30_000,
});

export const alertCountsQuery = queryOptions({
  queryKey: ["control-room", "alert-counts"],
  queryFn: () => ask(api.GET("/api/v1/alerts/summary")),
  refetchInterval: 30_000,
});

export const commandsQuery = queryOptions({
  queryKey: ["control-room", "commands"],
  queryFn: async () => (await ask(api.GET("/api/v1/commands", { params: { query: { limit: 20 } } }))).items,
  refetchInterval: 30_000,
});
