// What is looked at: kept in the address alone, so that a link shows the same.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState } from "react";
import type { Site } from "~/api/place";
import { momentOfDay } from "~/period/civil";
import { daysComparedWith, daysOf, spanOf, todayIn, type Span } from "~/period/period";
import { readView, searchOf, type View } from "~/period/search";
import { shiftedSpan } from "~/period/shift";
import { zoomTo } from "~/period/zoom";

export type Change = (part: Partial<View>) => void;

export function useView(): [View, Change] {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const view = useMemo(() => readView(search), [search]);
  const change = useCallback<Change>((part) => {
    const next = (old: Record<string, unknown>) => searchOf({ ...readView(old), ...part });
    void navigate({ to: "/history", search: next, resetScroll: false } as never);
  }, [navigate]);
  return [view, change];
}

const TICK_MS = 60_000;

/** The time of day, minute by minute. */
export function useMinute(): number {
  const [nowMs, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}

export interface Look {
  readonly today: string;
  /** All of the period. */
  readonly whole: Span;
  /** The part of it that is shown. */
  readonly seen: Span;
  /** What it is compared with: the same part of the other period. */
  readonly compared: Span | null;
  readonly isZoomed: boolean;
}

/** The moments that a view is about, by the site's calendar. */
export function useLook(view: View, site: Site, nowMs: number): Look {
  const zone = site.time_zone;
  const today = todayIn(zone, nowMs);
  return useMemo(() => {
    const whole = spanOf(daysOf(view.period, today), zone);
    const zoomed = view.zoom && zoomTo(view.zoom, whole);
    const seen = zoomed ?? whole;
    const other = view.compare && spanOf(daysComparedWith(view.period, view.compare, today), zone);
    const isPast = other !== null && other.startMs >= momentOfDay("1970-01-03", zone);
    const compared = isPast ? (zoomed ? shiftedSpan(seen, whole, other, zone) : other) : null;
    return { today, whole, seen, compared, isZoomed: zoomed !== null };
  }, [view.period, view.zoom, view.compare, today, zone]);
}
