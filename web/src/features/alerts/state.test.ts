import { expect, it } from "vitest";
import type { Alert } from "./queries";
import { actsOf, drawnOf, inOrder, renewed, spanAround, stateOf } from "./state";

const alert = (more: Partial<Alert>) => ({ severity: "low", status: "open", raised_at: "2026-01-01T00:00:00Z", ...more }) as Alert;

it("calls states as operators do", () => {
  expect(stateOf({ status: "open", acknowledged_at: null })).toBe("active-unack");
  expect(stateOf({ status: "acknowledged", acknowledged_at: "x" })).toBe("active-ack");
  expect(stateOf({ status: "suppressed", acknowledged_at: "x" })).toBe("suppressed");
  expect(stateOf({ status: "resolved", acknowledged_at: null })).toBe("cleared-unack");
  expect(stateOf({ status: "resolved", acknowledged_at: "x" })).toBe("cleared-ack");
});

it("offers only what can be done", () => {
  expect(actsOf({ status: "acknowledged" })).not.toContain("acknowledge");
  expect(actsOf({ status: "suppressed" })).toContain("lift");
  expect(actsOf({ status: "resolved" })).toEqual([]);
});

it("puts what presses most first, and of those the newest", () => {
  const old = alert({ id: "old", severity: "critical" });
  const late = alert({ id: "late", severity: "critical", raised_at: "2026-01-02T00:00:00Z" });
  const low = alert({ id: "low", raised_at: "2026-01-03T00:00:00Z" });
  expect(inOrder([old, low, late], "severity").map((one) => one.id)).toEqual(["late", "old", "low"]);
  expect(inOrder([old, low, late], "newest").map((one) => one.id)).toEqual(["low", "late", "old"]);
});

it("takes over what is told live, and nothing else", () => {
  const told = { status: "resolved", value: 3, organisation: "x" };
  expect(renewed(alert({ id: "a", since: "then" }), told)).toEqual(alert({ id: "a", since: "then", status: "resolved", value: 3 }));
});

it("draws the time around an alert, not beyond now", () => {
  const since = "2026-01-01T12:00:00Z";
  const now = Date.parse("2026-01-01T12:10:00Z");
  expect(spanAround({ since, resolved_at: null }, now)).toEqual({ startMs: Date.parse("2026-01-01T11:00:00Z"), endMs: now });
  const later = Date.parse("2026-02-01T00:00:00Z");
  const over = spanAround({ since, resolved_at: "2026-01-01T16:00:00Z" }, later);
  expect(over).toEqual({ startMs: Date.parse("2026-01-01T10:00:00Z"), endMs: Date.parse("2026-01-01T18:00:00Z") });
});

it("draws power where the limit is of energy or silence", () => {
  expect(drawnOf({ kind: "rule", metric: "voltage", limit: 250 })).toEqual({ metric: "voltage", limit: 250 });
  expect(drawnOf({ kind: "high_consumption", metric: "energy_wh", limit: 100 })).toEqual({ metric: "power", limit: null });
  expect(drawnOf({ kind: "offline", metric: "silence", limit: 120 })).toEqual({ metric: "power", limit: null });
});
