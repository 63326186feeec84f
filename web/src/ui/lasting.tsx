// Lengths of time that grow while they are looked at. One clock for the whole page; only what shows it is drawn anew.

import { useSyncExternalStore } from "react";
import { showAge, showDuration } from "~/lib/time";

const watchers = new Set<() => void>();
let nowMs = Date.now();
let ticking: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  nowMs = Date.now();
  watchers.forEach((tell) => tell());
}

function watch(onChange: () => void): () => void {
  watchers.add(onChange);
  if (ticking === undefined) {
    nowMs = Date.now();
    ticking = setInterval(tick, 1_000);
  }
  return () => {
    watchers.delete(onChange);
    if (watchers.size) return;
    clearInterval(ticking);
    ticking = undefined;
  };
}

/** Milliseconds since 1970, once a second. */
export function useNow(): number {
  return useSyncExternalStore(watch, () => nowMs);
}

/** How long something has lasted: until `until`, or until now. Times as the server writes them. */
export function Lasting({ since, until }: { since: string; until?: string | null }) {
  const now = useNow();
  const endMs = until ? Date.parse(until) : now;
  return <span className="kw-number">{showDuration((endMs - Date.parse(since)) / 1_000)}</span>;
}

/** How long ago something was. */
export function Age({ of, locale }: { of: string; locale: string }) {
  const now = useNow();
  return <span className="kw-number">{showAge(Math.max(0, (now - Date.parse(of)) / 1_000), locale)}</span>;
}
