// Which site is looked at: kept in this browser; null stands for all of them.

import { queryOptions, useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { api, ask, type Schemas } from "./client";

export type Site = Schemas["Site"];

const KEPT = "kilowatch.site";
const watchers = new Set<() => void>();

/** All sites that the reader may see. */
export const sitesQuery = queryOptions({
  queryKey: ["sites"],
  queryFn: async () => {
    const found: Site[] = [];
    let cursor: string | undefined;
    do {
      const page = await ask(api.GET("/api/v1/sites", { params: { query: { limit: 500, cursor } } }));
      found.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
    return found;
  },
  staleTime: 60_000,
});

export function chooseSite(id: string | null): void {
  if (id === null) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, id);
  watchers.forEach((tell) => tell());
}

/** The site that was looked at last; null: all, or the only one. */
export function keptSite(): string | null {
  return localStorage.getItem(KEPT);
}

function watch(onChange: () => void): () => void {
  watchers.add(onChange);
  return () => watchers.delete(onChange);
}

/** The chosen site, or the only one; null while all are looked at or none is known. */
export function useSite(): { site: Site | null; sites: readonly Site[]; isPending: boolean; error: Error | null } {
  const kept = useSyncExternalStore(watch, keptSite);
  const { data, isPending, error } = useQuery(sitesQuery);
  const sites = data ?? [];
  const site = sites.find((one) => one.id === kept) ?? (sites.length === 1 ? (sites[0] ?? null) : null);
  return { site, sites, isPending, error };
}
