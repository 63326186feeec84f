import { describe, expect, it } from "vitest";
import { Ring } from "./ring";

describe("Ring", () => {
  it("keeps the newest values in order and takes none twice", () => {
    const ring = new Ring(8);
    for (let at = 0; at < 100; at += 1) expect(ring.push(at, at * 2)).toBe(true);
    expect(ring.push(99, 7)).toBe(false);
    const [ts, value] = ring.since(0);
    expect(ts.length).toBeGreaterThanOrEqual(4);
    expect(ts[ts.length - 1]).toBe(99);
    expect([...value]).toEqual([...ts].map((at) => at * 2));
  });

  it("takes older values before those that are there, as many as fit", () => {
    const ring = new Ring(4);
    ring.push(10, 1);
    ring.precede([[7, 7], [8, 8], [9, 9], [10, 0], [11, 0]]);
    const [ts, value] = ring.since(8);
    expect([...ts]).toEqual([8, 9, 10]);
    expect([...value]).toEqual([8, 9, 1]);
    expect(ring.since(11)[0].length).toBe(0);
  });
});
