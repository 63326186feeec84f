// Refused readings on the server.

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import type { Filter } from "./filter";

export type Letter = Schemas["DeadLetterShown"];

const PAGE = 50;

export const summaryQuery = queryOptions({
  queryKey: ["dead-letters", "summary"],
  queryFn: () => ask(api.GET("/api/v1/dead-letters/summary")),
});

const named = ({ code, door, device, replayed }: Filter) => ({
  code: code ?? undefined, door: door ?? undefined, device: device ?? undefined, replayed,
});

export const lettersQuery = (filter: Filter) =>
  infiniteQueryOptions({
    queryKey: ["dead-letters", "list", filter],
    queryFn: ({ pageParam }) =>
      ask(api.GET("/api/v1/dead-letters", { params: { query: { ...named(filter), limit: PAGE, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

const ofLetter = (id: string) => ({ path: { letter_id: id } });

export const replay = (id: string, onConflict: "reject" | "replace") =>
  ask(api.POST("/api/v1/dead-letters/{letter_id}/replay", { params: { ...ofLetter(id), query: { on_conflict: onConflict } } }));

export const discard = (id: string) => ask(api.DELETE("/api/v1/dead-letters/{letter_id}", { params: ofLetter(id) }));

const MOST = 10_000;

export const discardMany = (filter: Filter) =>
  ask(api.POST("/api/v1/dead-letters/discard", { body: { ...named(filter), most: MOST } }));
