import { describe, expect, it } from "vitest";
import { bucketsOf } from "~/period/granularity";
import { spanOf } from "~/period/period";
import { amountsOf, columnsOf, comparedAmounts, costOf, missingBuckets, silences, sourcesOf, split, sumOf, total, type Point } from "./shape";

const BERLIN = "Europe/Berlin";
const HOUR = 3_600_000;
const iso = (ms: number) => new Date(ms).toISOString();
const days = (first: string, end: string) => spanOf({ first, end }, BERLIN);

describe("amounts", () => {
  it("come to lie in their buckets, and what is missing stays missing", () => {
    expect(amountsOf([[iso(HOUR), 5], [iso(2 * HOUR), 0]], [0, HOUR, 2 * HOUR, 3 * HOUR])).toEqual([null, 5, 0]);
    expect(amountsOf([[iso(-HOUR), 5], [iso(9 * HOUR), 5]], [0, HOUR])).toEqual([null]);
  });

  it("are summed where something is known", () => {
    expect(sumOf([[1, null, null], [2, 3, null]])).toEqual([3, 3, null]);
    expect(total([null, null])).toBeNull();
    expect(sumOf([])).toEqual([]);
  });

  it("of the day before come to the same hours of a day of 25 hours", () => {
    const span = days("2026-10-25", "2026-10-26");
    const own = days("2026-10-24", "2026-10-25");
    const edges = bucketsOf("1h", span, BERLIN);
    const ownEdges = bucketsOf("1h", own, BERLIN);
    const points = ownEdges.slice(0, -1).map((ms, hour): Point => [iso(ms), hour + 1]);
    const compared = comparedAmounts(points, "1h", edges, ownEdges, own, span, BERLIN);
    expect(compared).toHaveLength(25);
    expect(compared.slice(0, 5)).toEqual([1, 2, 3, null, 4]);
    expect(compared[24]).toBe(24);
  });

  it("of the day before lose nothing on a day of 23 hours", () => {
    const span = days("2026-03-29", "2026-03-30");
    const own = days("2026-03-28", "2026-03-29");
    const ownEdges = bucketsOf("1h", own, BERLIN);
    const points = ownEdges.slice(0, -1).map((ms): Point => [iso(ms), 1]);
    const compared = comparedAmounts(points, "1h", bucketsOf("1h", span, BERLIN), ownEdges, own, span, BERLIN);
    expect(compared).toHaveLength(23);
    expect(total(compared)).toBe(24);
  });

  it("of months are compared month by month, leap year or not", () => {
    const span = days("2028-01-01", "2029-01-01");
    const own = days("2027-01-01", "2028-01-01");
    const ownEdges = bucketsOf("1mo", own, BERLIN);
    const points = ownEdges.slice(0, -1).map((ms, month): Point => [iso(ms), month + 1]);
    const edges = bucketsOf("1mo", span, BERLIN);
    expect(comparedAmounts(points, "1mo", edges, ownEdges, own, span, BERLIN)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
});

describe("what is missing", () => {
  it("is told of buckets that are over, neighbours together", () => {
    const edges = [0, 1, 2, 3, 4, 5, 6].map((hour) => hour * HOUR);
    expect(missingBuckets([1, null, null, 0, null, null], edges, 5.5 * HOUR)).toEqual([
      { startMs: HOUR, endMs: 3 * HOUR },
      { startMs: 4 * HOUR, endMs: 5 * HOUR },
    ]);
  });

  it("breaks lines and is hatched only where all are silent", () => {
    const points = (minutes: number[]) => minutes.map((minute): Point => [iso(minute * 60_000), minute]);
    const one = columnsOf(points([0, 1, 2, 3, 10, 11, 12]), 60);
    expect(one).toEqual([[0, 60, 120, 180, 240, 600, 660, 720], [0, 1, 2, 3, null, 10, 11, 12]]);
    const other = columnsOf(points([0, 1, 2, 3, 4, 5, 6, 7, 8]), 60);
    const span = { startMs: 0, endMs: 30 * 60_000 };
    expect(silences([one], 60, span, 13 * 60_000)).toEqual([{ startMs: 240_000, endMs: 600_000 }]);
    expect(silences([one, other], 60, span, 13 * 60_000)).toEqual([]);
    expect(silences([one], 60, span, 60 * 60_000)).toEqual([
      { startMs: 240_000, endMs: 600_000 },
      { startMs: 780_000, endMs: 1_800_000 },
    ]);
    expect(silences([], 60, span, 60_000)).toEqual([{ startMs: 0, endMs: 60_000 }]);
    expect(silences([], 60, span, -1)).toEqual([]);
  });

  it("is not where readings become denser", () => {
    const seconds = [...Array.from({ length: 60 }, (_, at) => at * 60), ...Array.from({ length: 300 }, (_, at) => 3_600 + at * 2)];
    const mixed = columnsOf(seconds.map((second): Point => [iso(second * 1_000), 1]), 0);
    expect(mixed[0]).toHaveLength(360);
    expect(silences([mixed], 0, { startMs: 0, endMs: 2 * HOUR }, 4_200_000)).toEqual([]);
    const stopped = silences([mixed], 0, { startMs: 0, endMs: 2 * HOUR }, 5_000_000);
    expect(stopped).toEqual([{ startMs: 4_202_000, endMs: 5_000_000 }]);
  });

  it("leaves a meter that speaks by the hour whole, also by the minute", () => {
    const hourly = columnsOf([0, 1, 2, 3].map((hour): Point => [iso(hour * HOUR), hour]), 60);
    expect(hourly[1]).toEqual([0, 1, 2, 3]);
    expect(silences([hourly], 60, { startMs: 0, endMs: 4 * HOUR }, 9 * HOUR)).toEqual([]);
  });

  it("is not made up where the clock goes back, and words are no numbers", () => {
    expect(columnsOf([[iso(0), 1], [iso(60_000), 2], [iso(120_000), "on"]], 60, (ms) => Math.min(ms, 0))).toEqual([[0], [1]]);
  });
});

describe("sources", () => {
  const device = (id: string, energy: number | null) => ({ device: id, name: id.toUpperCase(), energy_wh: energy, coverage: 1 });

  it("are the largest first, with what they were before", () => {
    const found = sourcesOf([device("a", 1), device("b", null), device("c", 3)], [device("c", 2)]);
    expect(found.map((one) => [one.id, one.energyWh, one.comparedWh])).toEqual([["c", 3, 2], ["a", 1, null], ["b", null, null]]);
  });

  it("keep their colours where a site has few", () => {
    const order = ["a", "b", "c"];
    expect(sourcesOf([device("a", 1), device("c", 3)], null, order).map((one) => one.color)).toEqual(["--kw-series-3", "--kw-series-1"]);
  });

  it("are put together beyond seven", () => {
    const many = sourcesOf(Array.from({ length: 30 }, (_, at) => device(`d${at}`, at)), null);
    const [own, rest] = split(many);
    expect([own.length, rest.length]).toEqual([7, 23]);
    expect(split(many.slice(0, 7))[1]).toEqual([]);
  });

  it("cost what the site's kWh costs", () => {
    expect(costOf(2_500, "0.30")).toBeCloseTo(0.75);
    expect(costOf(null, "0.30")).toBeNull();
  });
});
