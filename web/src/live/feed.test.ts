import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { covers, Feed, type Message } from "./feed";

/** The far end of a socket; tests say what the server says. */
class Wire {
  static readonly OPEN = 1;
  static all: Wire[] = [];
  readyState = 0;
  said: Record<string, unknown>[] = [];
  onopen: () => void = () => undefined;
  onmessage: (event: { data: string }) => void = () => undefined;
  onclose: (event: { code: number }) => void = () => undefined;

  constructor(readonly address: string) {
    Wire.all.push(this);
  }

  static get last(): Wire {
    return Wire.all[Wire.all.length - 1] as Wire;
  }

  send(text: string): void {
    this.said.push(JSON.parse(text) as Record<string, unknown>);
  }

  open(): void {
    this.readyState = 1;
    this.onopen();
  }

  tell(word: object): void {
    this.onmessage({ data: JSON.stringify(word) });
  }

  close(code = 1006): void {
    this.readyState = 3;
    this.onclose({ code });
  }
}

const batch = (cursor: string, topic: string) => ({
  type: "batch", cursor, messages: [{ topic, ts: "2026-11-20T12:00:00Z", type: "reading", data: {} }],
});

describe("Feed", () => {
  let feed: Feed;
  let heard: Message[];

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", Wire);
    Wire.all = [];
    heard = [];
    feed = new Feed(() => "ws://here", () => Promise.resolve(false));
  });
  afterEach(() => {
    feed.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("goes on from its cursor after the connection broke", async () => {
    feed.listen({ topic: "devices.*", onMessage: (message) => heard.push(message) });
    Wire.last.open();
    expect(feed.connection).toBe("connecting");
    Wire.last.tell({ type: "pong" });
    expect(feed.connection).toBe("live");
    Wire.last.tell(batch("e:7", "devices.D1"));
    Wire.last.tell(batch("e:8", "alerts"));
    expect(heard.map((one) => one.topic)).toEqual(["devices.D1"]);
    Wire.last.close();
    expect(feed.connection).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(Wire.all).toHaveLength(2);
    Wire.last.open();
    expect(Wire.last.said[0]).toEqual({ type: "subscribe", topics: ["devices.*"], cursor: "e:8" });
  });

  it("says when a topic is heard, as what happened since it was read may have been missed", async () => {
    const [onJoin, onJoinToo] = [vi.fn(), vi.fn()];
    feed.listen({ topic: "alerts", onMessage: () => undefined, onJoin });
    Wire.last.open();
    expect(Wire.last.said).toEqual([{ type: "subscribe", topics: ["alerts"] }, { type: "ping" }]);
    Wire.last.tell({ type: "ping" });
    feed.listen({ topic: "commands", onMessage: () => undefined, onJoin: onJoinToo });
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoin).toHaveBeenCalledOnce();
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoinToo).not.toHaveBeenCalled();
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoin).toHaveBeenCalledOnce();
    expect(onJoinToo).toHaveBeenCalledOnce();
  });

  it("says so again after the connection broke, also of what was asked for meanwhile", async () => {
    const [onJoin, onJoinToo] = [vi.fn(), vi.fn()];
    feed.listen({ topic: "alerts", onMessage: () => undefined, onJoin });
    Wire.last.open();
    Wire.last.tell({ type: "pong" });
    Wire.last.tell(batch("e:7", "alerts"));
    Wire.last.close();
    feed.listen({ topic: "commands", onMessage: () => undefined, onJoin: onJoinToo });
    await vi.advanceTimersByTimeAsync(2_000);
    Wire.last.open();
    expect(Wire.last.said[0]).toEqual({ type: "subscribe", topics: ["alerts", "commands"], cursor: "e:7" });
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoin).toHaveBeenCalledTimes(2);
    expect(onJoinToo).toHaveBeenCalledOnce();
  });

  it("asks for each topic by itself where one of them is refused", async () => {
    const [onJoin, onJoinToo] = [vi.fn(), vi.fn()];
    feed.listen({ topic: "alerts", onMessage: () => undefined, onJoin });
    feed.listen({ topic: "devices.a*b", onMessage: () => undefined, onJoin: onJoinToo });
    Wire.last.open();
    Wire.last.tell({ type: "error", code: "bad_topic", detail: "Some topics do not exist." });
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoin).not.toHaveBeenCalled();
    expect(Wire.last.said.slice(2).filter(({ type }) => type === "subscribe")).toEqual([
      { type: "subscribe", topics: ["alerts"] },
      { type: "subscribe", topics: ["devices.a*b"] },
    ]);
    Wire.last.tell({ type: "pong" });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(onJoin).toHaveBeenCalledOnce();
  });

  it("keeps one socket where somebody begins to listen while the session is renewed", async () => {
    let renewed: (is: boolean) => void = () => undefined;
    feed = new Feed(() => "ws://here", () => new Promise((done) => (renewed = done)));
    feed.listen({ topic: "alerts", onMessage: () => undefined });
    Wire.last.open();
    Wire.last.close(4401);
    feed.listen({ topic: "commands", onMessage: () => undefined });
    Wire.last.open();
    Wire.last.tell({ type: "pong" });
    renewed(true);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(Wire.all).toHaveLength(2);
    expect(feed.connection).toBe("live");
  });

  it("comes back where the server could not subscribe it", async () => {
    feed.listen({ topic: "alerts", onMessage: () => undefined });
    Wire.last.open();
    Wire.last.tell({ type: "error", code: "unavailable", detail: "An engine does not answer now." });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(Wire.all).toHaveLength(2);
  });

  it("says when something may have been missed", () => {
    const onGap = vi.fn();
    feed.listen({ topic: "alerts", onMessage: () => undefined, onGap });
    Wire.last.open();
    Wire.last.tell({ type: "reset" });
    expect(onGap).toHaveBeenCalledOnce();
  });

  it("subscribes to each topic once, and unsubscribes with its last listener", () => {
    const stop = feed.listen({ topic: "alerts", onMessage: () => undefined });
    Wire.last.open();
    const stopToo = feed.listen({ topic: "alerts", onMessage: () => undefined });
    feed.listen({ topic: "commands", onMessage: () => undefined });
    stop();
    const said = () => Wire.last.said.filter(({ type }) => type !== "ping").slice(1);
    expect(said()).toEqual([{ type: "subscribe", topics: ["commands"] }]);
    stopToo();
    expect(said().slice(1)).toEqual([{ type: "unsubscribe", topics: ["alerts"] }]);
  });

  it("takes a silent connection for dead", async () => {
    feed.listen({ topic: "alerts", onMessage: () => undefined });
    Wire.last.open();
    await vi.advanceTimersByTimeAsync(80_000);
    expect(Wire.all.length).toBeGreaterThan(1);
  });

  it("ends where the session has ended", async () => {
    feed.listen({ topic: "alerts", onMessage: () => undefined });
    Wire.last.open();
    Wire.last.close(4401);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(feed.connection).toBe("refused");
    expect(Wire.all).toHaveLength(1);
  });

  it.each([
    ["devices.*", "devices.D1", true],
    ["devices.D1", "devices.D10", false],
    ["*", "alerts", true],
    ["streams.customer.*", "streams.customers", false],
  ])("%s covers %s: %s", (wanted, topic, does) => expect(covers(wanted, topic)).toBe(does));
});
