import { describe, expect, it } from "vitest";
import { rolesOf } from "./role";

const of = (...types: string[]) => rolesOf(types.map((type) => ({ type })));

describe("rolesOf", () => {
  it("follows from the type", () => {
    expect(of("connection", "solar", "wind", "battery", "car", "fridge")).toEqual(["grid", "solar", "generator", "battery", "car", "load"]);
    expect(of("pv", "storage", "wallbox", "toString")).toEqual(["solar", "battery", "car", "load"]);
  });

  it("takes a lone meter beside others for the one at the grid", () => {
    expect(of("fridge", "meter")).toEqual(["load", "grid"]);
    expect(of("meter")).toEqual(["load"]);
    expect(of("meter", "meter", "fridge")).toEqual(["load", "load", "load"]);
    expect(of("grid", "meter")).toEqual(["grid", "load"]);
  });

  it("believes the metadata before the type", () => {
    expect(rolesOf([{ type: "meter", metadata: { role: "solar" } }, { type: "inverter", metadata: { role: "nonsense" } }])).toEqual(["solar", "solar"]);
    expect(rolesOf([{ type: "meter", metadata: { role: "load" } }, { type: "meter" }])).toEqual(["load", "grid"]);
  });
});
