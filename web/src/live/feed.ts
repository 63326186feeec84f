// One WebSocket for the whole page: it comes back by itself, goes on where it was, and tells each message to those
// who asked for its topic. Keeps true that what happened while the connection was away is told when it is back, or
// that everybody is told to read anew.

export type Connection = "connecting" | "live" | "reconnecting" | "offline" | "refused";

export interface Message {
  readonly topic: string;
  /** Milliseconds since 1970. */
  readonly ms: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

export interface Listener {
  readonly topic: string;
  readonly onMessage: (message: Message) => void;
  /** Something may have been missed: read anew what is shown. */
  readonly onGap?: () => void;
  /** The topic is heard from now on. What is shown may have been read before, or kept from long ago. */
  readonly onJoin?: () => void;
}

const QUIET_MS = 75_000;
const OFFLINE_AFTER = 3;
const LONGEST_MS = 15_000;
/** What was being read while a topic was joined has come by then, and is not asked for twice at once. */
const JOINED_AFTER_MS = 1_000;
const REFUSED = new Set([4401, 4403]);

interface Word {
  readonly type: string;
  readonly cursor?: string;
  readonly code?: string;
  readonly detail?: string;
  readonly messages?: readonly { topic: string; ts: string; type: string; data: Record<string, unknown> }[];
}

/** Whether a topic such as `devices.*` includes another one. */
export function covers(wanted: string, topic: string): boolean {
  return wanted === topic || wanted === "*" || (wanted.endsWith(".*") && topic.startsWith(wanted.slice(0, -1)));
}

export class Feed {
  private readonly listeners = new Set<Listener>();
  private readonly watchers = new Set<() => void>();
  private socket: WebSocket | null = null;
  private cursor: string | undefined;
  private failures = 0;
  /** What each answer that is awaited says to have been joined; the server answers in the order it was asked. */
  private awaited: (readonly string[])[] = [];
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private state: Connection = "connecting";
  private heardMs = 0;

  /** address: of the socket, asked for at each try; renew: renews the session, whether it worked. */
  constructor(
    private readonly address: () => string,
    private readonly renew: () => Promise<boolean>,
  ) {}

  get connection(): Connection {
    return this.state;
  }

  /** When the last message came, milliseconds since 1970; 0: never. */
  get lastHeardMs(): number {
    return this.heardMs;
  }

  /** Tells whenever the state of the connection changes; returns how to stop. */
  watch(onChange: () => void): () => void {
    this.watchers.add(onChange);
    return () => this.watchers.delete(onChange);
  }

  /** Listens to a topic; returns how to stop. */
  listen(listener: Listener): () => void {
    const isNew = !this.topics().has(listener.topic);
    this.listeners.add(listener);
    if (this.socket === null && this.retry === undefined) this.open();
    else if (isNew) this.subscribe([listener.topic]);
    return () => {
      this.listeners.delete(listener);
      if (!this.topics().has(listener.topic)) this.say({ type: "unsubscribe", topics: [listener.topic] });
    };
  }

  /** Begins anew, as for another organisation. */
  restart(): void {
    this.close();
    this.cursor = undefined;
    this.failures = 0;
    if (this.listeners.size) this.open();
  }

  close(): void {
    clearTimeout(this.quiet);
    clearTimeout(this.retry);
    this.retry = undefined;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private topics(): Set<string> {
    return new Set([...this.listeners].map((one) => one.topic));
  }

  private open(): void {
    const socket = new WebSocket(this.address());
    this.socket = socket;
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.awaited = [];
      this.subscribe([...this.topics()], this.cursor);
      this.expect(socket);
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      if (this.socket !== socket) return;
      this.expect(socket);
      this.take(JSON.parse(event.data) as Word);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) void this.again(event.code);
    };
  }

  private subscribe(topics: readonly string[], cursor?: string): void {
    this.say({ type: "subscribe", topics, cursor });
    this.ping(topics);
  }

  /** Asks for a word, which says that all that was asked before was done: these topics are joined by then. */
  private ping(topics: readonly string[]): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.awaited.push(topics);
    this.say({ type: "ping" });
  }

  private join(topics: readonly string[]): void {
    this.failures = 0;
    this.become("live");
    if (topics.length === 0) return;
    setTimeout(() => {
      for (const one of [...this.listeners]) if (topics.includes(one.topic)) one.onJoin?.();
    }, JOINED_AFTER_MS);
  }

  private say(word: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(word));
  }

  /** A connection without any word, pings included, is taken for dead. */
  private expect(socket: WebSocket): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => socket.close(), QUIET_MS);
  }

  private take(word: Word): void {
    if (word.cursor) this.cursor = word.cursor;
    this.obey(word);
    for (const { topic, ts, type, data } of word.messages ?? []) {
      this.heardMs = Date.now();
      const message = { topic, ms: Date.parse(ts), type, data };
      for (const one of [...this.listeners]) if (covers(one.topic, topic)) one.onMessage(message);
    }
  }

  /** What the server says of the connection itself. */
  private obey(word: Word): void {
    if (word.type === "ping") this.ping([]);
    if (word.type === "pong") this.join(this.awaited.shift() ?? []);
    if (word.type === "error") this.mend(word.code);
    if (word.type === "reset" || word.type === "lagged") this.tellOfGap();
  }

  /** Of topics that were refused together each is asked for by itself. */
  private mend(code: string | undefined): void {
    const topics = this.awaited[0] ?? [];
    if (code === "unavailable") this.socket?.close();
    else if (topics.length > 1) {
      this.awaited[0] = [];
      for (const topic of topics) this.subscribe([topic]);
    }
  }

  private tellOfGap(): void {
    for (const one of [...this.listeners]) one.onGap?.();
  }

  private become(state: Connection): void {
    if (this.state === state) return;
    this.state = state;
    for (const tell of [...this.watchers]) tell();
  }

  private async again(code: number): Promise<void> {
    clearTimeout(this.quiet);
    this.socket = null;
    this.failures += 1;
    if (REFUSED.has(code)) {
      const isRenewed = await this.renew();
      if (this.socket !== null) return;
      if (!isRenewed) return this.become("refused");
    }
    this.become(this.failures > OFFLINE_AFTER || !navigator.onLine ? "offline" : "reconnecting");
    const longest = Math.min(LONGEST_MS, 500 * 2 ** Math.min(this.failures, 5));
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.open();
    }, longest * (0.5 + Math.random() / 2));
  }
}
