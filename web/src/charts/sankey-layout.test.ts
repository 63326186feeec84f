import { describe, expect, it } from "vitest";
import { placeFlow } from "./sankey-layout";

const node = (id: string) => ({ id, label: id, color: "--kw-home" });

describe("placeFlow", () => {
  it("gives each flow a width by its value and keeps to the box", () => {
    const found = placeFlow([node("a"), node("b"), node("c")], [{ from: "a", to: "b", value: 3 }, { from: "a", to: "c", value: 1 }], 400, 200);
    expect(found.nodes.map(({ id, value }) => [id, value])).toEqual([["a", 4], ["b", 3], ["c", 1]]);
    const [first, second] = found.links;
    expect((first?.width ?? 0) / (second?.width ?? 1)).toBeCloseTo(3);
    for (const one of found.nodes) expect(one.y + one.height).toBeLessThanOrEqual(200);
  });

  it("draws nothing where nothing flows", () => {
    expect(placeFlow([node("a"), node("b")], [{ from: "a", to: "b", value: 0 }], 400, 200)).toEqual({ nodes: [], links: [] });
  });

  it("leaves out parts without a flow", () => {
    const found = placeFlow([node("a"), node("b"), node("c")], [{ from: "a", to: "b", value: 2 }, { from: "a", to: "c", value: 0 }], 400, 200);
    expect(found.nodes.map(({ id }) => id)).toEqual(["a", "b"]);
  });
});
