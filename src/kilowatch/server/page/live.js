// The live feed: one WebSocket that comes back by itself, and ring buffers per series. No drawing here.

const KEPT = 600;
const QUIET_MS = 75_000;
const OFFLINE_AFTER = 3;

/** The newest `KEPT` values of one series in columns, ascending in time. */
export class Ring {
  constructor() {
    this.ts = new Float64Array(KEPT);
    this.value = new Float64Array(KEPT);
    this.size = 0;
  }

  /** Adds a value that is newer than all others; answers whether it was. */
  push(seconds, value) {
    if (this.size && seconds <= this.ts[this.size - 1]) return false;
    if (this.size === KEPT) {
      this.ts.copyWithin(0, KEPT / 2);
      this.value.copyWithin(0, KEPT / 2);
      this.size = KEPT / 2;
    }
    this.ts[this.size] = seconds;
    this.value[this.size++] = value;
    return true;
  }

  /** Puts older values, ascending, before those that are there. */
  precede(points) {
    const first = this.size ? this.ts[0] : Infinity;
    const older = points.filter(([seconds]) => seconds < first).slice(-(KEPT - this.size));
    this.ts.copyWithin(older.length, 0, this.size);
    this.value.copyWithin(older.length, 0, this.size);
    older.forEach(([seconds, value], row) => {
      this.ts[row] = seconds;
      this.value[row] = value;
    });
    this.size += older.length;
  }

  /** The columns from a time on. */
  since(seconds) {
    let from = this.size;
    while (from > 0 && this.ts[from - 1] >= seconds) from -= 1;
    return [this.ts.subarray(from, this.size), this.value.subarray(from, this.size)];
  }
}

/** Keeps a connection and tells: onReading({device, ms, metrics}), onState(state), onReset(), onRefused(code). */
export class Feed {
  constructor(told) {
    this.told = told;
    this.cursor = undefined;
    this.failures = 0;
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
    this.socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "subscribe", topics: ["devices.*"], cursor: this.cursor }));
      this.failures = 0;
      this.told.onState("live");
      this.listen(socket);
    };
    socket.onmessage = (event) => {
      this.listen(socket);
      this.take(JSON.parse(event.data));
    };
    socket.onclose = (event) => this.again(event.code);
  }

  /** A connection without any word, pings included, is taken for dead. */
  listen(socket) {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => socket.close(), QUIET_MS);
  }

  take(message) {
    if (message.cursor) this.cursor = message.cursor;
    if (message.type === "reset" || message.type === "lagged") this.told.onReset();
    if (message.type === "ping") this.socket.send(JSON.stringify({ type: "ping" }));
    for (const { ts, data } of message.messages ?? []) {
      if (data?.metrics) this.told.onReading({ device: data.device, ms: Date.parse(ts), metrics: data.metrics });
    }
  }

  again(code) {
    clearTimeout(this.watch);
    if (code === 4401 || code === 4403) {
      this.told.onRefused(code);
      return;
    }
    this.failures += 1;
    this.told.onState(this.failures > OFFLINE_AFTER ? "offline" : "reconnecting");
    const longest = Math.min(15_000, 500 * 2 ** Math.min(this.failures, 5));
    setTimeout(() => this.start(), longest * (0.5 + Math.random() / 2));
  }
}
