// Rules, detectors and maintenance windows on the server.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import type { Rule, Wanted } from "./draft";

export type Detector = Schemas["Detector"];
export type Window = Schemas["MaintenanceWindow"];
export type Tried = Schemas["BacktestShown"];
export type Channel = Schemas["Channel"];

export const RULE_VIEWS = ["current", "archived"] as const;
export type RuleView = (typeof RULE_VIEWS)[number];

export const rulesQuery = (view: RuleView) =>
  queryOptions({
    queryKey: ["rules", "list", view],
    queryFn: async () => {
      const found: Rule[] = [];
      let cursor: string | undefined;
      do {
        const query = { limit: 500, cursor, status: view === "archived" ? ("archived" as const) : undefined };
        const page = await ask(api.GET("/api/v1/rules", { params: { query } }));
        found.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return found;
    },
  });

const ofRule = (id: string) => ({ params: { path: { rule_id: id } } });

export const ruleQuery = (id: string) =>
  queryOptions({ queryKey: ["rules", "one", id], queryFn: () => ask(api.GET("/api/v1/rules/{rule_id}", ofRule(id))) });

/** Makes a rule, or changes the one with this id. */
export function keepRule(id: string | null, wanted: Wanted): Promise<Rule> {
  if (id === null) return ask(api.POST("/api/v1/rules", { body: { ...wanted, status: "active" } }));
  return ask(api.PATCH("/api/v1/rules/{rule_id}", { ...ofRule(id), body: wanted as Schemas["RuleChanges"] }));
}

export const setStatus = (id: string, status: Rule["status"]) =>
  ask(api.PATCH("/api/v1/rules/{rule_id}", { ...ofRule(id), body: { status } as Schemas["RuleChanges"] }));

export const tryRule = (wanted: Wanted, startMs: number, endMs: number): Promise<Tried> =>
  ask(
    api.POST("/api/v1/rules/backtest", {
      body: { rule: { ...wanted, status: "active" }, start: new Date(startMs).toISOString(), end: new Date(endMs).toISOString() },
    }),
  );

export const channelsQuery = queryOptions({
  queryKey: ["channels"],
  queryFn: async (): Promise<readonly Channel[]> =>
    (await ask(api.GET("/api/v1/notification-channels", { params: { query: { limit: 500 } } }))).items,
});

export const detectorsQuery = (site: string | null) =>
  queryOptions({
    queryKey: ["detectors", site],
    queryFn: async (): Promise<readonly Detector[]> =>
      (await ask(api.GET("/api/v1/detectors", { params: { query: { site_id: site } } }))).items,
  });

export const setDetector = (kind: string, site: string | null, body: Schemas["DetectorChanges"]) =>
  ask(api.PATCH("/api/v1/detectors/{kind}", { params: { path: { kind }, query: { site_id: site } }, body }));

export const windowsQuery = queryOptions({
  queryKey: ["windows"],
  queryFn: async (): Promise<readonly Window[]> =>
    (await ask(api.GET("/api/v1/maintenance-windows", { params: { query: { limit: 100 } } }))).items,
});

export const makeWindow = (body: Schemas["WindowWanted"]) => ask(api.POST("/api/v1/maintenance-windows", { body }));
export const removeWindow = (id: string) =>
  ask(api.DELETE("/api/v1/maintenance-windows/{window_id}", { params: { path: { window_id: id } } }));
