import { expect, it } from "vitest";
import { isNarrow, readFilter, writeFilter } from "./filter";

it("keeps a filter in the address", () => {
  const search = { code: "too_old", door: "mqtt", device: "D1", replayed: true };
  expect(writeFilter(readFilter(search))).toEqual(search);
  expect(writeFilter(readFilter({}))).toEqual({});
  expect(readFilter({ code: "<b>", replayed: "yes" })).toEqual({ code: null, door: null, device: null, replayed: false });
});

it("throws away many only where it is said which", () => {
  expect(isNarrow(readFilter({}))).toBe(false);
  expect(isNarrow(readFilter({ code: "too_old" }))).toBe(true);
  expect(isNarrow(readFilter({ replayed: true }))).toBe(true);
});
