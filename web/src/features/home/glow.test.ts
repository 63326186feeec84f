import { expect, it } from "vitest";
import { glowOf } from "./glow";

it("glows with power, either way, and not where none is known", () => {
  expect(glowOf(null, 100)).toBe(0);
  expect(glowOf(0.4, 100)).toBe(0);
  expect(glowOf(3_000, 3_000)).toBe(1);
  expect(glowOf(9_000, 3_000)).toBe(1);
  expect(glowOf(-750, 3_000)).toBe(0.5);
});
