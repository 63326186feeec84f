import { describe, expect, it } from "vitest";
import { isDay, momentOfDay, plusMonths, startOfQuarter, startOfWeek } from "./civil";
import { bucketsOf, energyStep, mostPoints, secondsOf } from "./granularity";
import { daysComparedWith, daysOf, hasNext, move, spanOf, type Period } from "./period";
import { readView, searchOf } from "./search";
import { shifted, shiftedSpan } from "./shift";
import { panned, zoomIn, zoomOut, zoomTo } from "./zoom";

const BERLIN = "Europe/Berlin";
const TODAY = "2026-11-20";
const at = (text: string) => Date.parse(text);
const HOUR = 3_600_000;

describe("days", () => {
  it("are those of the calendar", () => {
    expect(isDay("2028-02-29")).toBe(true);
    for (const wrong of ["2027-02-29", "2026-13-01", "2026-1-1", "", "1960-01-01", "9999-01-01"]) expect(isDay(wrong)).toBe(false);
    expect(plusMonths("2026-03-31", -1)).toBe("2026-02-28");
    expect(plusMonths("2028-02-29", -12)).toBe("2027-02-28");
    expect(plusMonths("2026-11-15", 3)).toBe("2027-02-15");
    expect(plusMonths("2026-01-31", -2)).toBe("2025-11-30");
    expect(startOfWeek("2026-11-22")).toBe("2026-11-16");
    expect(startOfWeek("2026-11-16")).toBe("2026-11-16");
    expect(startOfQuarter("2026-11-20")).toBe("2026-10-01");
    expect(startOfQuarter("2026-03-31")).toBe("2026-01-01");
  });
});

describe("periods", () => {
  const CASES: readonly (readonly [Exclude<Period["range"], "custom">, string, string])[] = [
    ["day", "2026-11-20", "2026-11-21"],
    ["week", "2026-11-16", "2026-11-23"],
    ["month", "2026-11-01", "2026-12-01"],
    ["quarter", "2026-10-01", "2027-01-01"],
    ["year", "2026-01-01", "2027-01-01"],
    ["7d", "2026-11-14", "2026-11-21"],
    ["30d", "2026-10-22", "2026-11-21"],
    ["365d", "2025-11-21", "2026-11-21"],
    ["12m", "2025-12-01", "2026-12-01"],
  ];

  it.each(CASES)("%s has its days", (range, first, end) => {
    expect(daysOf({ range, at: null }, TODAY)).toEqual({ first, end });
  });

  it.each(CASES)("%s: the one before ends where it begins, and the way back leads to it", (range) => {
    const now: Period = { range, at: null };
    const before = move(now, -1, TODAY);
    expect(daysOf(before, TODAY).end).toBe(daysOf(now, TODAY).first);
    expect(move(before, 1, TODAY)).toEqual(now);
    expect(hasNext(before, TODAY)).toBe(true);
    expect(hasNext(now, TODAY)).toBe(false);
    expect(daysComparedWith(now, "previous", TODAY)).toEqual(daysOf(before, TODAY));
  });

  it("keep quarters and years whole when they move from their last month", () => {
    expect(daysOf(move({ range: "quarter", at: "2026-12-31" }, -1, TODAY), TODAY)).toEqual({ first: "2026-07-01", end: "2026-10-01" });
    expect(daysOf(move({ range: "12m", at: "2026-03-31" }, -1, TODAY), TODAY)).toEqual({ first: "2024-04-01", end: "2025-04-01" });
  });

  it("of one's own move by their length", () => {
    const own: Period = { range: "custom", from: "2026-11-01", to: "2026-11-10" };
    expect(daysOf(own, TODAY)).toEqual({ first: "2026-11-01", end: "2026-11-11" });
    expect(move(own, -1, TODAY)).toEqual({ range: "custom", from: "2026-10-22", to: "2026-10-31" });
  });

  it("are compared with the same a year before, leap days or not", () => {
    expect(daysComparedWith({ range: "month", at: "2028-02-10" }, "year", TODAY)).toEqual({ first: "2027-02-01", end: "2027-03-01" });
    expect(daysComparedWith({ range: "month", at: "2029-02-10" }, "year", TODAY)).toEqual({ first: "2028-02-01", end: "2028-03-01" });
    expect(daysComparedWith({ range: "day", at: "2028-02-29" }, "year", TODAY)).toEqual({ first: "2027-02-28", end: "2027-03-01" });
    expect(daysComparedWith({ range: "week", at: null }, "year", TODAY)).toEqual({ first: "2025-11-16", end: "2025-11-23" });
  });
});

describe("days of 23 and of 25 hours", () => {
  const spring = spanOf({ first: "2026-03-29", end: "2026-03-30" }, BERLIN);
  const autumn = spanOf({ first: "2026-10-25", end: "2026-10-26" }, BERLIN);

  it("have so many hours", () => {
    expect(spring.endMs - spring.startMs).toBe(23 * HOUR);
    expect(autumn.endMs - autumn.startMs).toBe(25 * HOUR);
    expect(bucketsOf("1h", spring, BERLIN)).toHaveLength(24);
    expect(bucketsOf("1h", autumn, BERLIN)).toHaveLength(26);
  });

  it("are one bar, and months that have them too", () => {
    const month = spanOf({ first: "2026-10-01", end: "2026-11-01" }, BERLIN);
    const days = bucketsOf("1d", month, BERLIN);
    expect(days).toHaveLength(32);
    expect((days[25] as number) - (days[24] as number)).toBe(25 * HOUR);
    const year = spanOf({ first: "2026-01-01", end: "2027-01-01" }, BERLIN);
    expect(bucketsOf("1mo", year, BERLIN)).toEqual(
      Array.from({ length: 13 }, (_, month) => momentOfDay(plusMonths("2026-01-01", month), BERLIN)),
    );
  });

  it("are still a day to the rule", () => {
    expect(energyStep(autumn, BERLIN)).toBe("1h");
    expect(mostPoints(autumn)).toBe(25 * 60 + 2);
    const two = spanOf({ first: "2026-10-24", end: "2026-10-26" }, BERLIN);
    expect(energyStep(two, BERLIN)).toBe("1h");
    expect(mostPoints(two)).toBe(49 * 60 + 2);
  });

  it("are compared by what the clock shows", () => {
    const before = spanOf({ first: "2026-10-24", end: "2026-10-25" }, BERLIN);
    expect(shifted(at("2026-10-24T05:00:00Z"), before, autumn, BERLIN)).toBe(at("2026-10-25T06:00:00Z"));
    expect(shifted(before.startMs, before, autumn, BERLIN)).toBe(autumn.startMs);
    const part = { startMs: at("2026-10-25T06:00:00Z"), endMs: at("2026-10-25T07:00:00Z") };
    expect(shiftedSpan(part, autumn, before, BERLIN)).toEqual({ startMs: at("2026-10-24T05:00:00Z"), endMs: at("2026-10-24T06:00:00Z") });
  });
});

describe("granularity", () => {
  const days = (first: string, end: string) => spanOf({ first, end }, BERLIN);

  it("follows the rule for energy", () => {
    expect(energyStep({ startMs: 0, endMs: 6 * HOUR }, BERLIN)).toBe("15m");
    expect(energyStep(days("2026-11-01", "2026-11-03"), BERLIN)).toBe("1h");
    expect(energyStep(days("2026-11-01", "2026-11-04"), BERLIN)).toBe("1d");
    expect(energyStep(days("2026-11-01", "2026-12-01"), BERLIN)).toBe("1d");
    expect(energyStep(days("2026-10-01", "2027-01-01"), BERLIN)).toBe("1mo");
    expect(energyStep(days("2025-11-21", "2026-11-21"), BERLIN)).toBe("1d");
  });

  it("follows the rule for lines", () => {
    expect(mostPoints(days("2026-11-01", "2026-11-03"))).toBe(2_882);
    expect(mostPoints(days("2026-11-01", "2026-11-09"))).toBe(8 * 96 + 2);
    expect(mostPoints(days("2026-07-01", "2026-09-03"))).toBe(64 * 24 + 2);
    expect(mostPoints(days("2026-01-01", "2027-01-01"))).toBe(367);
  });

  it("puts hours where the local clock has them", () => {
    const [first] = bucketsOf("1h", spanOf({ first: "2026-11-20", end: "2026-11-21" }, "Asia/Kolkata"), "Asia/Kolkata");
    expect(first).toBe(at("2026-11-19T18:30:00Z"));
  });

  it("knows how long buckets are", () => {
    expect([secondsOf("raw"), secondsOf("1m"), secondsOf("1d"), secondsOf("3d"), secondsOf("odd")]).toEqual([0, 60, 86_400, 259_200, 0]);
  });
});

describe("zoom", () => {
  const day = { startMs: 0, endMs: 24 * HOUR };

  it("is in whole minutes, within, and never of nothing", () => {
    expect(zoomTo({ startMs: 30_500, endMs: 2 * HOUR + 1 }, day)).toEqual({ startMs: 0, endMs: 2 * HOUR + 60_000 });
    expect(zoomTo({ startMs: 5 * HOUR, endMs: 5 * HOUR + 1 }, day)?.endMs).toBeGreaterThanOrEqual(5 * HOUR + 5 * 60_000);
    expect(zoomTo({ startMs: -HOUR, endMs: 25 * HOUR }, day)).toBeNull();
    expect(zoomTo({ startMs: 30 * HOUR, endMs: 31 * HOUR }, day)).toBeNull();
  });

  it("goes in, out and sideways", () => {
    expect(zoomIn(day, day)).toEqual({ startMs: 6 * HOUR, endMs: 18 * HOUR });
    expect(zoomOut({ startMs: 6 * HOUR, endMs: 18 * HOUR }, day)).toBeNull();
    expect(zoomOut({ startMs: 10 * HOUR, endMs: 12 * HOUR }, day)).toEqual({ startMs: 9 * HOUR, endMs: 13 * HOUR });
    expect(panned({ startMs: 10 * HOUR, endMs: 12 * HOUR }, 1, day)).toEqual({ startMs: 12 * HOUR, endMs: 14 * HOUR });
    expect(panned({ startMs: HOUR, endMs: 3 * HOUR }, -1, day)).toEqual({ startMs: 0, endMs: 2 * HOUR });
  });
});

describe("the address", () => {
  it("says what is shown, and back", () => {
    const views: readonly Record<string, string>[] = [
      {},
      { site: "f8e0a593-fd68-4219-84a2-7f226ff0a75a", at: "2026-11-05" },
      { range: "month", at: "2026-10-05", compare: "year", devices: "D1,D2", metrics: "voltage,power" },
      { range: "custom", from: "2026-11-01", to: "2026-11-02", zoom: "29726400-29726460", only: "D1" },
    ];
    for (const search of views) {
      const said = Object.fromEntries(Object.entries(searchOf(readView(search))).filter(([, value]) => value !== undefined));
      expect(said).toEqual(search);
    }
  });

  it("is never trusted", () => {
    const plain = readView({});
    const wrong = { range: "aeon", at: "yesterday", from: "2026-02-30", zoom: "9-1", compare: {}, site: "home", devices: "../x,,", metrics: "<b>", only: "a b" };
    expect(readView(wrong)).toEqual(plain);
    expect(readView({ range: "custom", from: "2026-11-03", to: "2026-11-02" })).toEqual(plain);
    expect(readView({ devices: Array.from({ length: 99 }, (_, one) => `m${one}`).join() }).devices).toHaveLength(20);
  });
});
