import { describe, expect, it } from "vitest";
import { sparkPath } from "./sparkline";
import { bucketAt, reach, stack } from "./stack";

describe("stack", () => {
  it("puts amounts on each other, up and down apart, and nothing where nothing is known", () => {
    const pieces = stack([[1, -2, null], [3, -1, 0], [-5, 4, null]]);
    expect(pieces).toEqual([
      { of: 0, bucket: 0, low: 0, high: 1 },
      { of: 1, bucket: 0, low: 1, high: 4 },
      { of: 2, bucket: 0, low: -5, high: 0 },
      { of: 0, bucket: 1, low: -2, high: 0 },
      { of: 1, bucket: 1, low: -3, high: -2 },
      { of: 2, bucket: 1, low: 0, high: 4 },
    ]);
    expect(reach(pieces)).toEqual([-5, 4]);
    expect(reach(stack([]))).toEqual([0, 0]);
  });

  it("finds the bucket of a time", () => {
    expect([-1, 0, 5, 10, 19, 20].map((time) => bucketAt([0, 10, 20], time))).toEqual([-1, 0, 0, 1, 1, -1]);
    expect(bucketAt([], 3)).toBe(-1);
  });
});

describe("sparkPath", () => {
  it("goes through the values and breaks where there is none", () => {
    expect(sparkPath([0, 10, null, 5], 30, 10)).toBe("M0.0 10.0L10.0 0.0M30.0 5.0");
    expect(sparkPath([3], 30, 10)).toBe("M0.0 5.0");
    expect(sparkPath([null, null], 30, 10)).toBe("");
  });
});
