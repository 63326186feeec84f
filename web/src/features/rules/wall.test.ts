import { expect, it } from "vitest";
import { fromField, toField } from "./wall";

it("shows the clock of the site", () => {
  expect(toField(Date.parse("2026-07-01T10:00:00Z"), "Europe/Berlin")).toBe("2026-07-01T12:00");
  expect(fromField("2026-01-01T12:00", "Europe/Berlin")).toBe(Date.parse("2026-01-01T11:00:00Z"));
});

it.each(["2026-03-29T04:00", "2026-10-25T12:30", "2026-06-15T00:00"])("keeps %s", (text) => {
  expect(toField(fromField(text, "Europe/Berlin") ?? 0, "Europe/Berlin")).toBe(text);
});

it("takes nothing for no moment", () => {
  expect(fromField("", "UTC")).toBeNull();
});
