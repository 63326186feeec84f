import { describe, expect, it } from "vitest";
import { Pulse } from "./pulse";

const told = (ms: number, normalised: number) => ({ topic: "streams.a", type: "stream", ms, data: { stream: "a", normalised, flag: "normal", value: 1 } });

describe("pulse", () => {
  it("takes what a stream told last before anybody listened", () => {
    const pulse = new Pulse();
    pulse.take({ ...told(1_000, 42), type: "latest" });
    expect(pulse.course("a", 60)).toEqual([[1, 42]]);
  });

  it("joins what was told before with what is told now, within a span", () => {
    const pulse = new Pulse();
    pulse.precede("a", [[0, 10], [50, 20], [99, 30], [101, 40]]);
    expect(pulse.course("a", 60)).toEqual([[50, 20], [99, 30], [101, 40]]);
    pulse.take(told(100_000, 50));
    pulse.take(told(110_000, 60));
    expect(pulse.course("a", 60)).toEqual([[50, 20], [99, 30], [100, 50], [110, 60]]);
  });

  it("has nothing of a stream that nobody heard", () => {
    expect(new Pulse().course("b", 60)).toEqual([]);
  });
});
