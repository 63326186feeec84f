// Alerts on the server: lists, one of them, counts, and what people do with them.

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { statusesOf, type Filter, type Status } from "./filter";
import type { Act } from "./state";

export type Alert = Schemas["Alert"];
export type AlertInFull = Schemas["AlertWithComments"];
export type Command = Schemas["Command"];

const PAGE = 100;

/** A cursor for each status that has more. */
type Cursors = readonly { status: Status | undefined; cursor: string | undefined }[];

interface Page {
  readonly items: readonly Alert[];
  readonly next: Cursors;
}

const narrowed = ({ severity, kind, site, device }: Filter) => ({
  severity: severity ?? undefined, kind: kind ?? undefined, site_id: site ?? undefined, device_id: device ?? undefined,
});

async function listOf(filter: Filter, cursors: Cursors): Promise<Page> {
  const pages = await Promise.all(
    cursors.map(({ status, cursor }) =>
      ask(api.GET("/api/v1/alerts", { params: { query: { ...narrowed(filter), status, cursor, limit: PAGE } } })),
    ),
  );
  return {
    items: pages.flatMap((page) => page.items),
    next: pages.flatMap((page, at) => (page.next_cursor ? [{ status: cursors[at]?.status, cursor: page.next_cursor }] : [])),
  };
}

export const alertsQuery = (filter: Filter) =>
  infiniteQueryOptions({
    queryKey: ["alerts", "list", filter],
    queryFn: ({ pageParam }) => listOf(filter, pageParam),
    initialPageParam: statusesOf(filter.view).map((status) => ({ status, cursor: undefined })) as Cursors,
    getNextPageParam: (page) => (page.next.length ? page.next : undefined),
  });

/** How many there are of each status, whatever the view. */
export const alertCountsQuery = (filter: Filter) =>
  queryOptions({
    queryKey: ["alerts", "counts", narrowed(filter)],
    queryFn: () => ask(api.GET("/api/v1/alerts/summary", { params: { query: narrowed(filter) } })),
  });

export const alertQuery = (id: string) =>
  queryOptions({
    queryKey: ["alerts", "one", id],
    queryFn: () => ask(api.GET("/api/v1/alerts/{alert_id}", { params: { path: { alert_id: id } } })),
  });

export interface Doing {
  readonly id: string;
  readonly act: Act;
  readonly comment?: string;
  /** Until when it is suppressed; without it for as long as it lives. */
  readonly until?: string;
}

const WAYS = {
  acknowledge: "/api/v1/alerts/{alert_id}/acknowledge",
  resolve: "/api/v1/alerts/{alert_id}/resolve",
} as const;

export function doTo({ id, act, comment, until }: Doing): Promise<Alert> {
  const params = { path: { alert_id: id } };
  const said = comment?.trim() || null;
  if (act === "lift") return ask(api.POST("/api/v1/alerts/{alert_id}/lift", { params }));
  if (act === "suppress") {
    return ask(api.POST("/api/v1/alerts/{alert_id}/suppress", { params, body: { until: until ?? null, comment: said } }));
  }
  return ask(api.POST(WAYS[act], { params, body: { comment: said } }));
}

export const comment = (id: string, text: string) =>
  ask(api.POST("/api/v1/alerts/{alert_id}/comment", { params: { path: { alert_id: id } }, body: { comment: text } }));

export const commandQuery = (id: string) =>
  queryOptions({
    queryKey: ["alerts", "command", id],
    queryFn: () => ask(api.GET("/api/v1/commands/{command_id}", { params: { path: { command_id: id } } })),
  });

/** key: the same for each try of one wish. */
export const sendState = (device: string, state: "on" | "off", key: string) =>
  ask(
    api.POST("/api/v1/devices/{device_id}/commands", {
      params: { path: { device_id: device }, header: { "Idempotency-Key": key } },
      body: { name: "set_state", arguments: { state }, expires_in_s: 300 },
    }),
  );
