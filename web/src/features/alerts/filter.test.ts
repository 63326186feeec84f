import { expect, it } from "vitest";
import { readFilter, statusesOf, writeFilter } from "./filter";

const SITE = "d7890cc6-a95a-40b1-88ce-c5de418b312b";

it("keeps a filter in the address", () => {
  const search = { status: "resolved", severity: "high", kind: "spike", site: SITE, device: "D1" };
  expect(writeFilter(readFilter(search))).toEqual(search);
});

it("takes what it does not know for nothing", () => {
  const none = { view: "living", severity: null, kind: null, site: null, device: null };
  expect(readFilter({})).toEqual(none);
  expect(readFilter({ status: "gone", severity: 7, kind: "x", site: "y", device: "../z" })).toEqual(none);
  expect(writeFilter(readFilter({}))).toEqual({});
});

it("knows a device whose name is a number", () => {
  expect(readFilter({ device: 12 }).device).toBe("12");
});

it("asks for what is open or looked after unless told otherwise", () => {
  expect(statusesOf("living")).toEqual(["open", "acknowledged"]);
  expect(statusesOf("all")).toEqual([undefined]);
  expect(statusesOf("resolved")).toEqual(["resolved"]);
});
