// The newest value of every metric of every device that was told of. Keeps true: a value gives way only to one that
// is as new or newer; those who watch a device are told at most once per frame.

import type { Message } from "./feed";

type Value = number | string;

interface Entry {
  ms: number;
  value: Value;
}

export class Newest {
  private readonly entries = new Map<string, Map<string, Entry>>();
  private readonly watchers = new Map<string, Set<() => void>>();
  private readonly changed = new Set<string>();
  private frame = 0;

  /** Takes the readings of a message; others are left alone. */
  take(message: Message): void {
    const { device, metrics } = message.data as { device?: string; metrics?: Record<string, Value> };
    if (!device || !metrics) return;
    for (const [metric, value] of Object.entries(metrics)) this.put(device, metric, message.ms, value);
  }

  put(device: string, metric: string, ms: number, value: Value): void {
    let entries = this.entries.get(device);
    if (!entries) this.entries.set(device, (entries = new Map()));
    const known = entries.get(metric);
    if (known && known.ms > ms) return;
    entries.set(metric, { ms, value });
    this.tell(device);
  }

  value(device: string, metric: string): Value | undefined {
    return this.entries.get(device)?.get(metric)?.value;
  }

  /** When a metric was measured, milliseconds since 1970; undefined if it is not known. */
  ms(device: string, metric: string): number | undefined {
    return this.entries.get(device)?.get(metric)?.ms;
  }

  /** Tells when something of a device (or, with "*", of any) is new; returns how to stop. */
  watch(device: string, onChange: () => void): () => void {
    let watchers = this.watchers.get(device);
    if (!watchers) this.watchers.set(device, (watchers = new Set()));
    watchers.add(onChange);
    return () => watchers.delete(onChange);
  }

  /** Forgets everything, as for another organisation. */
  clear(): void {
    const devices = [...this.entries.keys()];
    this.entries.clear();
    devices.forEach((device) => this.tell(device));
  }

  private tell(device: string): void {
    this.changed.add(device);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const changed = [...this.changed, "*"];
      this.changed.clear();
      for (const one of changed) for (const onChange of this.watchers.get(one) ?? []) onChange();
    });
  }
}
