import { describe, expect, it } from "vitest";
import type { Device } from "~/api/devices";
import { choicesOf, EVERYTHING, searchOf, sieve, wantedOf, type Wanted } from "./sieve";

const device = (id: string, given: Partial<Device> = {}): Device => ({
  id, name: id, type: "meter", site_id: "s", room: null, icon: null, rated_power_w: null, idle_threshold_w: null, region: null,
  metadata: {}, status: "active", state: "on", last_seen: null, token_made_at: null, created_at: "2026-01-01T00:00:00Z", ...given,
});
const DEVICES = [device("m-10", { room: "Attic" }), device("m-2", { type: "fridge", room: "Kitchen" }), device("m-1", { status: "error" })];
const powers: Record<string, number> = { "m-10": 5, "m-2": 50 };
const ids = (wanted: Partial<Wanted>) => sieve(DEVICES, { ...EVERYTHING, ...wanted }, (id) => powers[id] ?? null).map(({ id }) => id);

describe("sieve", () => {
  it("orders names as people count", () => expect(ids({})).toEqual(["m-1", "m-2", "m-10"]));

  it("puts what has no value last, either way", () => {
    expect(ids({ order: "power" })).toEqual(["m-10", "m-2", "m-1"]);
    expect(ids({ order: "power", isDown: true })).toEqual(["m-2", "m-10", "m-1"]);
  });

  it("finds by words, type, status and room", () => {
    expect(ids({ text: " kitch" })).toEqual(["m-2"]);
    expect(ids({ type: "fridge" })).toEqual(["m-2"]);
    expect(ids({ status: "error" })).toEqual(["m-1"]);
    expect(ids({ room: "Attic" })).toEqual(["m-10"]);
  });

  it("names the choices that there are", () => expect(choicesOf(DEVICES, "room")).toEqual(["Attic", "Kitchen"]));

  it("goes through 10,000 devices at once", () => {
    const many = Array.from({ length: 10_000 }, (_, at) => device(`meter-${(at * 7_919) % 10_000}`));
    const began = performance.now();
    expect(sieve(many, EVERYTHING, () => null)[1]?.id).toBe("meter-1");
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe("the address", () => {
  it("says the choice and nothing else", () => {
    const wanted: Wanted = { text: "a", type: "meter", status: null, room: "B", order: "seen", isDown: true };
    expect(wantedOf(searchOf(wanted))).toEqual(wanted);
    expect(searchOf(EVERYTHING)).toEqual({});
  });

  it("forgives nonsense", () => expect(wantedOf({ q: 3, sort: "evil", down: "yes" })).toEqual(EVERYTHING));
});
