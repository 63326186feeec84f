// The state of an alert as operators call it, its order in a list, and what can be done with it. Pure.

import { SEVERITY_NAMES } from "~/ui/severity-choices";
import type { Alert } from "./queries";

export type State = "active-unack" | "active-ack" | "suppressed" | "cleared-unack" | "cleared-ack";

/** Whether it lasts, and whether somebody has looked after it. */
export function stateOf(alert: Pick<Alert, "status" | "acknowledged_at">): State {
  if (alert.status === "open") return "active-unack";
  if (alert.status === "acknowledged") return "active-ack";
  if (alert.status === "suppressed") return "suppressed";
  return alert.acknowledged_at ? "cleared-ack" : "cleared-unack";
}

export type Act = "acknowledge" | "resolve" | "suppress" | "lift";

const ACTS: Record<Alert["status"], readonly Act[]> = {
  open: ["acknowledge", "resolve", "suppress"],
  acknowledged: ["resolve", "suppress"],
  suppressed: ["lift", "resolve"],
  resolved: [],
};

export function actsOf(alert: Pick<Alert, "status">): readonly Act[] {
  return ACTS[alert.status];
}

export const ORDERS = ["newest", "severity"] as const;
export type Order = (typeof ORDERS)[number];

/** The alerts in an order; by severity the most pressing first, and of those the newest. */
export function inOrder(alerts: readonly Alert[], order: Order): Alert[] {
  const pressing = (alert: Alert) => (order === "severity" ? SEVERITY_NAMES.indexOf(alert.severity) : 0);
  return [...alerts].sort((one, other) => pressing(other) - pressing(one) || other.raised_at.localeCompare(one.raised_at));
}

/** What is told live of an alert that is known: only what changes while it lives. */
export function renewed<T extends Alert>(alert: T, told: Record<string, unknown>): T {
  const words = ["severity", "status", "value", "limit", "devices", "title", "description", "remedy"] as const;
  const changes = Object.fromEntries(words.filter((word) => word in told).map((word) => [word, told[word]]));
  return { ...alert, ...changes };
}

interface Around {
  readonly startMs: number;
  readonly endMs: number;
}

const LEAST_MS = 3_600_000;
const MOST_MS = 14 * 86_400_000;

/** The time to draw around an alert: what was before as well, as far as it helps. nowMs: the end of what goes on. */
export function spanAround(alert: Pick<Alert, "since" | "resolved_at">, nowMs: number): Around {
  const sinceMs = Date.parse(alert.since);
  const untilMs = alert.resolved_at ? Date.parse(alert.resolved_at) : nowMs;
  const margin = Math.min(Math.max((untilMs - sinceMs) / 2, LEAST_MS), 86_400_000);
  return { startMs: Math.max(sinceMs - margin, untilMs - MOST_MS), endMs: Math.min(untilMs + margin, nowMs) };
}

/** The metric to draw, and the limit in its unit; null where the limit is of something else. */
export function drawnOf(alert: Pick<Alert, "kind" | "metric" | "limit">): { metric: string; limit: number | null } {
  const isDrawn = alert.metric !== null && !["silence", "energy_wh"].includes(alert.metric) && !alert.metric.includes("/");
  if (!isDrawn) return { metric: "power", limit: null };
  return { metric: alert.metric as string, limit: alert.limit };
}
