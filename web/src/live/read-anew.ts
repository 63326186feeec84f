// Reading anew what is shown, when something may have changed untold. Keeps true that what comes in the end was read
// after it was asked for: also where the first answer was still on its way, which the query client would not ask again.

import type { Query, QueryClient, QueryKey } from "@tanstack/react-query";

const early = new WeakSet<Query>();

/** Reads anew what is shown under a key; what is not shown is read when it is. */
export async function readAnew(queries: QueryClient, queryKey: QueryKey): Promise<void> {
  const first = queries.getQueryCache().findAll({
    queryKey,
    fetchStatus: "fetching",
    predicate: (query) => query.state.data === undefined && !early.has(query),
  });
  for (const query of first) early.add(query);
  await queries.invalidateQueries({ queryKey });
  for (const query of first) early.delete(query);
  if (first.length) await queries.invalidateQueries({ queryKey, predicate: (query) => first.includes(query) });
}

/** After something was told that is shown already: what is being read just now may be older, and is read anew. */
export function outrun(queries: QueryClient, queryKey: QueryKey): void {
  if (queries.isFetching({ queryKey })) void readAnew(queries, queryKey);
}
