// Names of those who did something, as the audit log writes them: "user:<id>", "key:<number>".

import { queryOptions, useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { api, ask, type Schemas } from "./client";
import { may, sessionQuery } from "./session";

export type Member = Schemas["Member"];

const MOST = 500;

export const peopleQuery = (organisation: string) =>
  queryOptions({
    queryKey: ["people", organisation],
    queryFn: async (): Promise<readonly Member[]> => {
      const params = { path: { organisation_id: organisation }, query: { limit: MOST } };
      return (await ask(api.GET("/api/v1/organisations/{organisation_id}/members", { params }))).items;
    },
    staleTime: 60_000,
  });

/** The members of the organisation, as far as the reader may know them. */
export function usePeople(): readonly Member[] {
  const { data: session } = useQuery(sessionQuery);
  const isAllowed = may(session, "members:read");
  const { data } = useQuery({ ...peopleQuery(session?.organisationId ?? ""), enabled: isAllowed });
  return data ?? [];
}

/** Gives the name of an actor. */
export function useNames(): (actor: string | null | undefined) => string {
  const { t } = useWords();
  const { data: session } = useQuery(sessionQuery);
  const people = usePeople();
  return (actor) => {
    if (!actor) return "–";
    const [kind, id = ""] = actor.split(":");
    if (kind === "key") return `${t("user.key")} ${id}`;
    if (kind !== "user") return actor;
    if (id === session?.me?.id) return t("user.you");
    const found = people.find((one) => one.user_id === id);
    return found?.name || found?.email || t("user.somebody");
  };
}
