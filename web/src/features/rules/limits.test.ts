import { expect, it } from "vitest";
import { limitsWanted, limitUnit } from "./limits";

it("knows what a limit is measured in", () => {
  expect(["grace_s", "limit_kwh", "asleep_from_h", "spreads"].map(limitUnit)).toEqual(["s", "kWh", "h", ""]);
});

it("keeps the limits of device types", () => {
  expect(limitsWanted({ limit_kwh: 5 }, { industrial: 500 })).toEqual({ limit_kwh: 5, by_type: { industrial: 500 } });
  expect(limitsWanted({ for_s: 5 }, {})).toEqual({ for_s: 5 });
});
