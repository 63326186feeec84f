import { describe, expect, it } from "vitest";
import type { Role } from "~/lib/role";
import { balanceOf, type Part } from "~/lib/balance";
import { flowOf, type FlowWords } from "./flow";

const words = new Proxy({}, { get: (_target, name) => String(name) }) as FlowWords;
const part = (id: string, role: Role, value: number): Part => ({ id, name: id, role, value });

describe("flowOf", () => {
  it("shows the largest devices by name and the others together", () => {
    const parts = ["g", "f", "e", "d", "c", "b", "a"].map((id, at) => part(id, "load", 700 - at * 100));
    const { links } = flowOf(balanceOf(parts), parts, words);
    const sinks = links.filter(({ from }) => from === "home").map(({ to, value }) => [to, value]);
    expect(sinks).toEqual([["use c", 300], ["use d", 400], ["use e", 500], ["use f", 600], ["use g", 700], ["others", 300]]);
  });

  it("gives what arrives at home as much as what leaves it", () => {
    const parts = [part("grid", "grid", 500), part("pv", "solar", 1500), part("battery", "battery", -600), part("car", "car", 900), part("tv", "load", 0.4)];
    const { nodes, links } = flowOf(balanceOf(parts), parts, words);
    const sum = (side: "from" | "to") => links.filter((link) => link[side] === "home").reduce((total, { value }) => total + value, 0);
    expect(sum("to")).toBe(1400);
    expect(sum("from")).toBeCloseTo(1399.6);
    expect(links.map(({ to }) => to)).toContain("charging");
    for (const { from, to } of links) for (const id of [from, to]) expect(nodes.some((node) => node.id === id)).toBe(true);
  });
});
