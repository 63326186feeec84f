import { expect, it } from "vitest";
import { breakAtGaps } from "./limit-gaps";

it("breaks a line where readings are missing", () => {
  expect(breakAtGaps([0, 10, 20, 100, 110], [1, 2, 3, 4, 5])).toEqual([[0, 10, 20, 60, 100, 110], [1, 2, 3, null, 4, 5]]);
});

it("leaves a whole line, and nothing, as they are", () => {
  expect(breakAtGaps([0, 10, 20], [0, 0, 0])).toEqual([[0, 10, 20], [0, 0, 0]]);
  expect(breakAtGaps([], [])).toEqual([[], []]);
});
