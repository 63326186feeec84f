import { describe, expect, it } from "vitest";
import { giversOf, siteUseOf } from "./site-use";

const devices = [
  { id: "grid", type: "grid-meter" }, { id: "roof", type: "solar" }, { id: "store", type: "battery" },
  { id: "oven", type: "oven" }, { id: "car", type: "car" },
];
const measured: Record<string, readonly (number | null)[]> = {
  grid: [700, -500, null], roof: [0, 2_000, null], store: [0, -300, null], oven: [500, 200, null], car: [0, 1_000, null],
};
const of = (id: string) => measured[id] ?? [];

describe("the use of a site", () => {
  it("counts what is given and what is taken once", () => {
    expect(siteUseOf(devices, of, 3, "1h")).toEqual({ amounts: [700, 1_200, null], untracked: [200, 0, null], importedWh: 700 });
  });

  it("says nothing of what came from the grid where a bucket may hold both ways", () => {
    expect(siteUseOf(devices, of, 3, "1d").importedWh).toBeNull();
  });

  it("knows who gives", () => {
    expect([...giversOf(devices)]).toEqual(["grid", "roof", "store"]);
    expect(giversOf([{ id: "oven", type: "oven" }]).size).toBe(0);
  });
});
