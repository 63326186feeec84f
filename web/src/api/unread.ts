// How many notifications wait to be read.

import { queryOptions } from "@tanstack/react-query";
import { api, ask } from "./client";

export const unreadQuery = queryOptions({
  queryKey: ["notifications", "unread"],
  queryFn: async () => (await ask(api.GET("/api/v1/notifications", { params: { query: { limit: 1 } } }))).unread,
  staleTime: 30_000,
});
