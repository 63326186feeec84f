import { describe, expect, it } from "vitest";
import { counterOf, Memory, regionsOf, weightsOf, type Placed } from "./fleet";

const device = (id: string, region: string | null, site_id = "s"): Placed => ({ id, name: id, type: "machine", site_id, region, rated_power_w: 100 });
const powers = (values: Record<string, number>) => (id: string) => values[id];

describe("fleet", () => {
  it("sums by region, a site's where a device has none, and counts who reports", () => {
    const devices = [device("a", "north"), device("b", "south"), device("c", null), device("d", "north")];
    const found = regionsOf(devices, new Map([["s", "south"]]), weightsOf(devices), powers({ a: 10, b: 20, c: 30 }));
    const [south, north] = [{ powerW: 50, ratedW: 200, devices: 2, reporting: 2 }, { powerW: 10, ratedW: 200, devices: 2, reporting: 1 }];
    expect(found).toEqual([
      { name: "south", ...south, sites: [{ id: "s", ...south }] },
      { name: "north", ...north, sites: [{ id: "s", ...north }] },
    ]);
  });

  it("takes off what is given, and believes the meter at the grid alone", () => {
    const plant = { ...device("p", null, "plant"), type: "solar" };
    const machine = device("m", null, "plant");
    const house = { ...device("g", null, "house"), type: "grid" };
    const devices = [plant, machine, house, device("h", null, "house")];
    const [all] = regionsOf(devices, new Map(), weightsOf(devices), powers({ p: 30, m: 100, g: 500, h: 700 }));
    expect(all?.sites.map((one) => [one.id, one.powerW])).toEqual([["house", 500], ["plant", 70]]);
    expect(all?.powerW).toBe(570);
  });

  it("tells who changed most within the span", () => {
    const memory = new Memory(300);
    const devices = [device("a", null), device("b", null)];
    memory.note(0, devices, powers({ a: 1, b: 1 }));
    memory.note(200, devices, powers({ a: 5, b: 1 }));
    memory.note(400, devices, powers({ a: 5, b: 1 }));
    memory.note(600, devices, powers({ a: 9, b: 50 }));
    expect(memory.movers(devices, powers({ a: 9, b: 50 }), 1).map((one) => [one.device.id, one.changeW])).toEqual([["b", 49]]);
    expect(memory.movers(devices, powers({ a: 9, b: 50 }), 5).map((one) => one.changeW)).toEqual([49, 4]);
  });

  it("sums a counter over its labels and no other's", () => {
    const text = '# HELP x y\nx_total{door="http"} 5.0\nx_total{door="mqtt"} 2.0\nx_total_created 9\n';
    expect(counterOf(text, "x_total")).toBe(7);
    expect(counterOf(text, "y_total")).toBeNull();
  });
});
