import { describe, expect, it } from "vitest";
import { leftOf, outline } from "./settling";

describe("settling", () => {
  it.each(["linear", "exponential", "immediate"] as const)("%s only ever falls, from all to nothing", (curve) => {
    const left = Array.from({ length: 101 }, (_, at) => leftOf(curve, at / 100));
    expect(left[0]).toBe(1);
    expect(left[100]).toBe(0);
    left.slice(1).forEach((one, at) => expect(one).toBeLessThanOrEqual(left[at] as number));
  });

  it("draws what is active as full", () => {
    const points = outline("linear", 0.25);
    expect(points.filter(([x]) => x <= 0.25).every(([, y]) => y === 1)).toBe(true);
    expect(points[points.length - 1]).toEqual([1, 0]);
  });
});
