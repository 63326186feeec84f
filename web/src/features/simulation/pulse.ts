// The live values of all streams, outside React: rings on the scale from 0 to 100, drawn at most once per frame.

import { Ring } from "~/live/ring";
import type { Message } from "~/live/feed";

export type Flag = "normal" | "warning" | "critical";

interface Heard {
  readonly ring: Ring;
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
    if (message.type !== "stream" || told.stream === undefined || told.normalised === undefined) return;
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
    if (!entry) this.heard.set(stream, (entry = { ring: new Ring(KEPT), flag: "normal", value: Number.NaN, ratio: 1 }));
    return entry;
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
