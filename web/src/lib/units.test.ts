import { describe, expect, it } from "vitest";
import { chooseScale, show, showIn, showMoney, showShare } from "./units";

const EN = "en-GB";

describe("units", () => {
  it.each([
    [0, "W", "0\u00a0W"],
    [195.9, "W", "196\u00a0W"],
    [1950, "W", "1.95\u00a0kW"],
    [2.5e6, "W", "2.500\u00a0MW"],
    [1.5, "kW", "1.50\u00a0kW"],
    [999, "Wh", "999\u00a0Wh"],
    [9_990, "Wh", "9.99\u00a0kWh"],
    [99_900, "Wh", "99.9\u00a0kWh"],
    [999_000, "Wh", "999\u00a0kWh"],
    [-1950, "W", "-1.95\u00a0kW"],
    [21.456, "degC", "21.5\u00a0°C"],
  ])("shows %f %s as %s", (value, unit, text) => expect(show(value, unit, EN)).toBe(text));

  it("never draws what is missing as zero", () => {
    expect(show(null, "W", EN)).toBe("–");
    expect(show(Number.NaN, "W", EN)).toBe("–");
  });

  it("shows all values of a diagram in one unit", () => {
    const scale = chooseScale("W", 3400);
    expect([40, 3400].map((value) => showIn(value, scale, EN))).toEqual(["0.04\u00a0kW", "3.40\u00a0kW"]);
  });

  it("rounds no share up to everything", () => {
    expect(showShare(0.9998, EN)).toBe("99.9\u00a0%");
    expect(showShare(1, EN)).toBe("100\u00a0%");
  });

  it("writes money as the locale does", () => expect(showMoney("12.5", "EUR", "de-DE")).toBe("12,50\u00a0€"));
});
