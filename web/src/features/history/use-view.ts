// What is looked at: kept in the address alone, so that a link shows the same.

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { chooseSite, type Site } from "~/api/place";
import { momentOfDay } from "~/period/civil";
import { daysComparedWith, daysOf, spanOf, todayIn, type Span } from "~/period/period";
import { readView, searchOf, type View } from "~/period/search";
import { shiftedSpan } from "~/period/shift";
import { zoomTo } from "~/period/zoom";

/** isSilent: without a step for the back button. */
export type Change = (part: Partial<View>, isSilent?: boolean) => void;

export function useView(): [View, Change] {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const view = useMemo(() => readView(search), [search]);
  const change = useCallback<Change>((part, isSilent = false) => {
    const next = (old: Record<string, unknown>) => searchOf({ ...readView(old), ...part });
    void navigate({ to: "/history", search: next, resetScroll: false, replace: isSilent } as never);
  }, [navigate]);
  return [view, change];
}

/** Keeps the site in the address and the one that the reader chose the same: a link brings its site, and choosing
another one while the page is open changes the address. */
export function useSiteInView(view: View, change: Change, site: Site | null, sites: readonly Site[]): void {
  const before = useRef<string | null>(null);
  const isKnown = sites.some((one) => one.id === view.site);
  const id = site?.id ?? null;

  useEffect(() => {
    if (view.site !== null && isKnown) chooseSite(view.site);
  }, [view.site, isKnown]);

  useEffect(() => {
    const wasChosen = before.current !== null && before.current !== id;
    before.current = id;
    if (id === null || view.site === id) return;
    if (wasChosen) change({ site: id, devices: [], only: null }, true);
    else if (view.site === null || !isKnown) change({ site: id }, true);
  }, [id, view.site, isKnown, change]);
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
