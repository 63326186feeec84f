// The values of all streams, outside React: what was told before and a ring of live ones, on the scale from 0 to 100,
// drawn at most once per frame.

import { Ring } from "~/live/ring";
import type { Message } from "~/live/feed";

export type Flag = "normal" | "warning" | "critical";

export type Point = readonly [seconds: number, level: number];

interface Heard {
  readonly ring: Ring;
  /** What was told before the page listened. */
  past: readonly Point[];
  flag: Flag;
  value: number;
  ratio: number;
}

const KEPT = 240;

/** What streams said, by name; those who draw a stream are called when it said something. */
export class Pulse {
  private readonly heard = new Map<string, Heard>();
  private readonly drawers = new Map<string, () => void>();
  private readonly due = new Set<string>();
  private frame = 0;

  take(message: Message): void {
    const told = message.data as { stream?: string; normalised?: number; flag?: Flag; value?: number; ratio?: number };
    if (told.stream === undefined || told.normalised === undefined) return;
    const entry = this.of(told.stream);
    if (!entry.ring.push(message.ms / 1_000, told.normalised)) return;
    entry.flag = told.flag ?? "normal";
    entry.value = told.value ?? Number.NaN;
    entry.ratio = told.ratio ?? 1;
    this.due.add(told.stream);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  of(stream: string): Heard {
    let entry = this.heard.get(stream);
    if (!entry) this.heard.set(stream, (entry = { ring: new Ring(KEPT), past: [], flag: "normal", value: Number.NaN, ratio: 1 }));
    return entry;
  }

  /** Notes what a stream told before. */
  precede(stream: string, past: readonly Point[]): void {
    this.of(stream).past = past;
    this.drawers.get(stream)?.();
  }

  /** What a stream told, in the order of time, within so many seconds before the newest. */
  course(stream: string, withinS: number): readonly Point[] {
    const { ring, past } = this.of(stream);
    const end = ring.newest?.seconds ?? past[past.length - 1]?.[0] ?? 0;
    const [seconds, levels] = ring.since(end - withinS);
    const first = seconds[0] ?? Infinity;
    const before = past.filter(([at]) => at >= end - withinS && at < first);
    return [...before, ...Array.from(seconds, (at, row): Point => [at, levels[row] as number])];
  }

  /** Calls `draw` when a stream said something; returns how to stop. */
  onDraw(stream: string, draw: () => void): () => void {
    this.drawers.set(stream, draw);
    return () => this.drawers.delete(stream);
  }

  /** Forgets everything, as after a leap of the clock or with another world. */
  clear(): void {
    const streams = [...this.heard.keys()];
    this.heard.clear();
    streams.forEach((one) => this.drawers.get(one)?.());
  }

  private draw(): void {
    this.frame = 0;
    const streams = [...this.due];
    this.due.clear();
    streams.forEach((one) => this.drawers.get(one)?.());
  }
}
