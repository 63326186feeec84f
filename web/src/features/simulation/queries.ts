// What is asked of, and wished from, the simulation.

import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";

export type State = Schemas["SimulationState"];
export type Scenario = Schemas["ScenarioShown"];
export type Stream = Schemas["StreamShown"];
export type Template = Schemas["TemplateShown"];
export type SimulationEvent = Schemas["EventShown"];

const STATE_EVERY_MS = 5_000;
/** Where simulated time runs: a crisis is over before long. */
const FAST_EVERY_MS = 2_000;
/** So much of the past is drawn before live values come. */
export const PAST_S = 86_400;

/** What is shown while no world is played, and played as soon as somebody changes something. */
export const FIRST_WORLD = "grid";

export const stateQuery = queryOptions({
  queryKey: ["simulation", "state"],
  queryFn: () => ask(api.GET("/api/v1/simulation/state")),
  refetchInterval: ({ state }) => ((state.data?.speed ?? 1) > 1 ? FAST_EVERY_MS : STATE_EVERY_MS),
});

export const worldsQuery = queryOptions({
  queryKey: ["simulation", "worlds"],
  queryFn: async () => (await ask(api.GET("/api/v1/simulation/worlds"))).items,
});

/** world: the one that is played, so that another one's streams are another question. */
export const streamsQuery = (world: string) =>
  queryOptions({
    queryKey: ["simulation", "streams", world],
    queryFn: async () => (await ask(api.GET("/api/v1/simulation/streams", { params: { query: { world } } }))).items,
    staleTime: Infinity,
  });

/** What the streams told on the last simulated day. */
export const pastQuery = (world: string) =>
  queryOptions({
    queryKey: ["simulation", "past", world],
    queryFn: async () => {
      const { now } = await ask(api.GET("/api/v1/simulation/state"));
      const start = new Date(Date.parse(now) - PAST_S * 1_000).toISOString();
      return (await ask(api.GET("/api/v1/simulation/history", { params: { query: { start, end: now } } }))).streams;
    },
    staleTime: Infinity,
  });

export const scenariosQuery = (world: string) =>
  queryOptions({
    queryKey: ["simulation", "scenarios", world],
    queryFn: async () => (await ask(api.GET("/api/v1/simulation/scenarios", { params: { query: { world } } }))).items,
    staleTime: Infinity,
  });

/** What may happen outside in a world. */
export const templatesQuery = (world: string) =>
  queryOptions({
    queryKey: ["simulation", "templates", world],
    queryFn: async () => (await ask(api.GET("/api/v1/simulation/templates", { params: { query: { world } } }))).items,
    staleTime: Infinity,
  });

export interface Span {
  readonly start: string;
  readonly end: string;
}

export const eventsQuery = (span: Span) =>
  queryOptions({
    queryKey: ["simulation", "events", span],
    queryFn: async () => (await ask(api.GET("/api/v1/simulation/events", { params: { query: { ...span } } }))).items,
  });

/** What moved a stream, or what an event moved. */
export const causesQuery = (about: { stream?: string; event?: string }, span: Span) =>
  queryOptions({
    queryKey: ["simulation", "correlations", about, span],
    queryFn: async () =>
      (await ask(api.GET("/api/v1/simulation/correlations", { params: { query: { ...about, ...span } } }))).items,
    staleTime: 30_000,
  });

/** A wish that changes the simulation; everything that is shown of it is asked for anew afterwards. */
function useWish<Given, Answer>(wish: (given: Given) => Promise<Answer>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: wish,
    onSettled: () => queries.invalidateQueries({ queryKey: ["simulation"] }),
  });
}

export const useBegin = () =>
  useWish((given: { world: string; scenario_id: string }) => ask(api.POST("/api/v1/simulation/scenario", { body: given })));

export const useStop = () => useWish(() => ask(api.POST("/api/v1/simulation/stop")));

export const useReset = () => useWish(() => ask(api.POST("/api/v1/simulation/reset")));

export const useChange = ({ world }: State) =>
  useWish((changes: Schemas["StateChanges"]) =>
    ask(api.PATCH("/api/v1/simulation/state", { body: world ? changes : { world: FIRST_WORLD, ...changes } })),
  );

/** Events are of the world that is played: while none is, the one that is shown is begun first. */
export const useInject = ({ world }: State) =>
  useWish(async (body: Schemas["EventWanted"]) => {
    if (!world) await ask(api.PATCH("/api/v1/simulation/state", { body: { world: FIRST_WORLD } }));
    return ask(api.POST("/api/v1/simulation/events", { body }));
  });
