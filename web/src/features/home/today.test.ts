import { describe, expect, it } from "vitest";
import type { Role } from "~/lib/role";
import { rankingOf, totalOf, usualOf, type SiteEnergy } from "./today";

const HOUR = 3_600_000;

function energy(zone: string, devices: Record<string, [string, number][]>): SiteEnergy {
  const shown = Object.entries(devices).map(([device, points]) => ({
    device, name: device, points, energy_wh: points.length ? points.reduce((sum, [, value]) => sum + value, 0) : null, coverage: 1,
  }));
  return {
    site_id: "s", resolution: "1h", time_zone: zone, start: "", end: "", unit: "Wh", currency: "EUR", price_per_kwh: "0.40",
    devices: shown as SiteEnergy["devices"], total: { points: [], energy_wh: null, coverage: 0.9 },
  };
}

const roles = (given: Record<string, Role>) => new Map(Object.entries(given));

describe("totalOf", () => {
  it("sums balances by interval, so sun at noon does not pay for the night", () => {
    const day = energy("UTC", {
      grid: [["2026-05-01T00:00:00Z", 1000], ["2026-05-01T12:00:00Z", -2000]],
      pv: [["2026-05-01T00:00:00Z", 0], ["2026-05-01T12:00:00Z", 3000]],
    });
    const total = totalOf(day, roles({ grid: "grid", pv: "solar" }));
    expect(total).toMatchObject({ use: 2000, imported: 1000, exported: 2000, solar: 3000, cost: 0.4, selfSufficiency: 0.5, coverage: 0.9 });
  });

  it("knows nothing from nothing", () => {
    expect(totalOf(energy("UTC", { a: [] }), roles({ a: "load" }))).toMatchObject({ use: null, cost: null, selfSufficiency: null });
  });
});

describe("usualOf", () => {
  const now = Date.parse("2026-07-10T00:30:00Z");
  const hours = (days: number, wh: (hour: number) => number): [string, number][] =>
    Array.from({ length: days * 24 }, (_, at) => {
      const ms = Date.parse("2026-07-10T00:00:00Z") - (at + 1) * HOUR;
      return [new Date(ms).toISOString(), wh(new Date(ms).getUTCHours())];
    });

  it("means the same hour of the site's days before", () => {
    const usual = usualOf(energy("Europe/Berlin", { a: hours(5, (hour) => (hour === 0 ? 60 : 100)) }), roles({ a: "load" }), now);
    expect(usual).toEqual({ nowW: 60, untilNowWh: 230 });
  });

  it("says nothing of too few days", () => {
    expect(usualOf(energy("UTC", { a: hours(2, () => 1) }), roles({ a: "load" }), now)).toBeNull();
  });
});

it("ranks what uses, most first, and what is not known last", () => {
  const day = energy("UTC", { a: [["2026-05-01T00:00:00Z", 1]], b: [["2026-05-01T00:00:00Z", 2]], pv: [["2026-05-01T00:00:00Z", 9]] });
  const devices = ["a", "b", "c", "pv"].map((id) => ({ id, name: id }));
  expect(rankingOf(day, devices, roles({ pv: "solar" })).map(({ id, wh }) => [id, wh])).toEqual([["b", 2], ["a", 1], ["c", null]]);
});
