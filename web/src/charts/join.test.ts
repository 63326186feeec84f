import { describe, expect, it } from "vitest";
import { join } from "./join";
import { gapsIn, rangeAround, rangeFromZero } from "./scale";

describe("join", () => {
  it("gives one series as it is", () => {
    const only = [[1, 2], [10, 20]] as const;
    expect(join([only])).toBe(only);
    expect(join([])).toEqual([[]]);
  });

  it("puts several on common times without inventing values", () => {
    expect(join([[[1, 3, 4], [10, 30, null]], [[2, 3], [2, 3]], [[], []]])).toEqual([
      [1, 2, 3, 4],
      [10, undefined, 30, null],
      [undefined, 2, 3, undefined],
      [undefined, undefined, undefined, undefined],
    ]);
  });

  it("joins a hundred thousand points in no time to speak of", () => {
    const columns = Array.from({ length: 5 }, (_, of) => {
      const ts = Float64Array.from({ length: 20_000 }, (_none, at) => at * 2 + of / 10);
      return [ts, ts] as const;
    });
    const began = performance.now();
    expect(join(columns)[0]).toHaveLength(100_000);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("gapsIn", () => {
  it("finds where a series is silent, whatever others say meanwhile", () => {
    expect(gapsIn([0, 1, 2, 3, 10, 11], [5, undefined, 5, 5, 5, undefined], 3)).toEqual([[3, 10]]);
    expect(gapsIn([0, 1, 2, 3, 4], [5, undefined, null, undefined, 5], 3)).toEqual([[0, 4]]);
    expect(gapsIn([], [], 3)).toEqual([]);
  });
});

describe("ranges", () => {
  it("begin at zero unless values are negative", () => {
    expect(rangeFromZero(10, 100)).toEqual([0, 106]);
    expect(rangeFromZero(-100, 0)).toEqual([-106, 0]);
    expect(rangeFromZero(null, null)).toEqual([0, 1]);
    expect(rangeFromZero(0, 0)).toEqual([0, 1]);
  });

  it("leave room around values that have no zero", () => {
    expect(rangeAround(220, 240)).toEqual([218, 242]);
    expect(rangeAround(230, 230)).toEqual([227.7, 232.3]);
    expect(rangeAround(null, null)).toEqual([0, 1]);
  });
});
