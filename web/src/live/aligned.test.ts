import { describe, expect, it } from "vitest";
import { aligned } from "./aligned";
import { Ring } from "./ring";

function ringOf(points: readonly (readonly [number, number])[]): Ring {
  const ring = new Ring();
  points.forEach(([ts, value]) => ring.push(ts, value));
  return ring;
}

describe("aligned", () => {
  it("gives one ring as it is", () => {
    const [ts, value] = aligned([ringOf([[1, 10], [2, 20], [3, 30]])], 2);
    expect([...(ts ?? [])]).toEqual([2, 3]);
    expect([...(value ?? [])]).toEqual([20, 30]);
  });

  it("puts several rings on common times without inventing values", () => {
    const data = aligned([ringOf([[1, 10], [3, 30]]), ringOf([[2, 2], [3, 3]]), new Ring()], 0);
    expect(data).toEqual([
      [1, 2, 3],
      [10, undefined, 30],
      [undefined, 2, 3],
      [undefined, undefined, undefined],
    ]);
  });

  it("is empty without rings", () => {
    expect(aligned([], 0)).toEqual([[]]);
  });
});
