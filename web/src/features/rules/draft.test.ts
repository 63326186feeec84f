import { expect, it } from "vitest";
import { draftOf, joinLength, newDraft, showLimit, splitLength, unitOf, wantedOf, type Rule } from "./draft";

const rule: Rule = {
  id: "r", name: "Kettle", device_id: "kettle", site_id: null, device_type: null, input: "value", metric: "power", operator: ">",
  threshold: 2000, clear_threshold: 100, for_s: 300, cooldown_s: 600, severity: "high", status: "active", channels: ["email"],
  created_at: "2026-01-01T00:00:00Z", updated_at: "2026-01-01T00:00:00Z",
};

it("changes nothing of a rule that is only looked at", () => {
  const wanted = wantedOf(draftOf(rule));
  expect({ ...rule, ...wanted }).toEqual(rule);
  expect(Object.keys(rule).filter((name) => !(name in wanted))).toEqual(["id", "status", "created_at", "updated_at"]);
  const none = { ...rule, device_id: null, site_id: "s", input: "no_data", metric: null, operator: null, threshold: null, clear_threshold: null } as Rule;
  expect(wantedOf(draftOf(none))).toMatchObject({ site_id: "s", device_id: null, metric: null, operator: null, threshold: null });
});

it("leaves out what an input has no use for", () => {
  const draft = { ...draftOf(rule), input: "no_data" as const };
  expect(wantedOf(draft)).toMatchObject({ operator: null, threshold: null, clear_threshold: null, metric: "power" });
  expect(wantedOf({ ...draft, input: "energy_15m" })).toMatchObject({ metric: null, threshold: 2000 });
});

it("asks for no threshold that was not typed", () => {
  expect(wantedOf(newDraft(undefined, undefined))).toMatchObject({ threshold: null, device_id: null, metric: "power" });
  expect(wantedOf(newDraft("D1", "voltage"))).toMatchObject({ device_id: "D1", metric: "voltage" });
  expect(wantedOf({ ...newDraft("D1", "x"), threshold: 0 }).threshold).toBe(0);
});

it.each([0, 1, 59, 60, 90, 300, 3600, 5400, 86_400, 604_800])("says %d s in a unit and back", (seconds) => {
  const { count, unit } = splitLength(seconds);
  expect(joinLength(count, unit)).toBe(seconds);
});

it("shows a limit as it is set", () => {
  expect(showLimit(0.5, "W", "en")).toBe("0.5\u00a0W");
  expect(showLimit(2000, "W", "en")).toBe("2\u00a0kW");
  expect(showLimit(2345.5, "W", "en")).toBe("2.346\u00a0kW");
  expect(showLimit(-7, "degC", "en")).toBe("-7\u00a0°C");
});

it("names lengths and limits as people do", () => {
  expect(splitLength(300)).toEqual({ count: 5, unit: "min" });
  expect(splitLength(5400)).toEqual({ count: 90, unit: "min" });
  expect(unitOf("rate_per_minute", "W")).toBe("W/min");
  expect(unitOf("energy_15m", "W")).toBe("Wh");
});
