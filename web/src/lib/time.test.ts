import { describe, expect, it } from "vitest";
import { addDays, momentOf, showAge, showDuration, startOfDay, wallMs } from "./time";

const BERLIN = "Europe/Berlin";
const at = (text: string) => Date.parse(text);

describe("time", () => {
  it("begins days at the site's midnight", () => {
    expect(startOfDay(at("2026-07-01T00:30:00Z"), BERLIN)).toBe(at("2026-06-30T22:00:00Z"));
    expect(startOfDay(at("2026-01-01T00:30:00Z"), "America/New_York")).toBe(at("2025-12-31T05:00:00Z"));
  });

  it("knows days of 23 and of 25 hours", () => {
    const spring = startOfDay(at("2026-03-29T10:00:00Z"), BERLIN);
    expect(addDays(spring, 1, BERLIN) - spring).toBe(23 * 3_600_000);
    const autumn = startOfDay(at("2026-10-25T10:00:00Z"), BERLIN);
    expect(addDays(autumn, 1, BERLIN) - autumn).toBe(25 * 3_600_000);
  });

  it("finds the moment that a clock shows", () => {
    for (const text of ["2026-02-03T04:05:06Z", "2026-08-09T23:59:59Z"]) {
      expect(momentOf(wallMs(at(text), BERLIN), BERLIN)).toBe(at(text));
    }
    expect(momentOf(at("2026-10-25T02:30:00Z"), BERLIN)).toBe(at("2026-10-25T00:30:00Z"));
  });

  it("says ages and lengths in words", () => {
    expect(showAge(1, "en")).toBe("now");
    expect(showAge(300, "en")).toBe("5 min. ago");
    expect(showDuration(7_500)).toBe("2 h 5 min");
  });
});
