// Members, keys, the audit log, how long things are kept, and how the engines are.

import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask, type Schemas } from "~/api/client";
import { refusalOf } from "~/api/problem";

export type Member = Schemas["Member"];
export type Role = Member["role"];
export type Scope = Schemas["ApiKey"]["scopes"][number];
export const ROLES: readonly Role[] = ["admin", "operator", "viewer", "customer"];
export const SCOPES: readonly Scope[] = ["ingest", "read", "control", "admin"];

const PAGE = 100;

export const membersQuery = (organisation: string) =>
  queryOptions({
    queryKey: ["administration", "members", organisation],
    queryFn: async () => {
      const found: Member[] = [];
      let cursor: string | undefined;
      do {
        const path = { organisation_id: organisation };
        const page = await ask(api.GET("/api/v1/organisations/{organisation_id}/members", { params: { path, query: { limit: 500, cursor } } }));
        found.push(...page.items);
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      return found;
    },
  });

export const invitationsQuery = (organisation: string) =>
  queryOptions({
    queryKey: ["administration", "invitations", organisation],
    queryFn: async () =>
      (await ask(api.GET("/api/v1/organisations/{organisation_id}/invitations", { params: { path: { organisation_id: organisation } } }))).items,
  });

export const assignmentsQuery = (organisation: string, user: string) =>
  queryOptions({
    queryKey: ["administration", "assignments", organisation, user],
    queryFn: async () => {
      const path = { organisation_id: organisation, user_id: user };
      return (await ask(api.GET("/api/v1/organisations/{organisation_id}/members/{user_id}/assignments", { params: { path } }))).items;
    },
  });

export const keysQuery = queryOptions({
  queryKey: ["administration", "keys"],
  queryFn: async () => (await ask(api.GET("/api/v1/api-keys", { params: { query: { limit: 500 } } }))).items,
});

export const auditQuery = (action: string) =>
  infiniteQueryOptions({
    queryKey: ["administration", "audit", action],
    queryFn: ({ pageParam }) =>
      ask(api.GET("/api/v1/audit-log", { params: { query: { limit: PAGE, cursor: pageParam ?? undefined, action: action || undefined } } })),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });

export const organisationQuery = (organisation: string) =>
  queryOptions({
    queryKey: ["administration", "organisation", organisation],
    queryFn: () => ask(api.GET("/api/v1/organisations/{organisation_id}", { params: { path: { organisation_id: organisation } } })),
  });

/** How each engine is: `ok`, and what there is to say of it. */
export type Health = Record<string, { ok: boolean } & Record<string, unknown>>;

async function askHealth(): Promise<Health> {
  const answer = await fetch("/readyz");
  const body = (await answer.json().catch(() => null)) as { parts?: Health } | null;
  // A part that is not able makes it a 503; its answer still says which.
  if (!body?.parts) throw refusalOf(answer.status, body, answer.headers);
  return body.parts;
}

export const healthQuery = queryOptions({ queryKey: ["administration", "health"], queryFn: askHealth, refetchInterval: 5_000 });

/** A wish that changes how the organisation is run; all that is shown of it is asked for anew afterwards. */
function useWish<Given, Answer>(wish: (given: Given) => Promise<Answer>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: wish, onSuccess: () => queries.invalidateQueries({ queryKey: ["administration"] }) });
}

const MEMBER = "/api/v1/organisations/{organisation_id}/members/{user_id}";

export const useChangeMember = (organisation: string) =>
  useWish(({ user, role }: { user: string; role: Role }) =>
    ask(api.PATCH(MEMBER, { params: { path: { organisation_id: organisation, user_id: user } }, body: { role } })),
  );

export const useRemoveMember = (organisation: string) =>
  useWish((user: string) => ask(api.DELETE(MEMBER, { params: { path: { organisation_id: organisation, user_id: user } } })));

export const useInvite = (organisation: string) =>
  useWish((body: Schemas["InvitationWanted"]) =>
    ask(api.POST("/api/v1/organisations/{organisation_id}/members", { params: { path: { organisation_id: organisation } }, body })),
  );

export const useWithdraw = (organisation: string) =>
  useWish((invitation: string) =>
    ask(
      api.DELETE("/api/v1/organisations/{organisation_id}/invitations/{invitation_id}", {
        params: { path: { organisation_id: organisation, invitation_id: invitation } },
      }),
    ),
  );

export interface Assigning {
  readonly user: string;
  readonly kind: "device" | "site";
  readonly id: string;
}

export const useAssign = () =>
  useWish(({ user, kind, id }: Assigning) =>
    kind === "device"
      ? ask(api.POST("/api/v1/meters/{device_id}/assign", { params: { path: { device_id: id } }, body: { user_id: user } }))
      : ask(api.POST("/api/v1/sites/{site_id}/assign", { params: { path: { site_id: id } }, body: { user_id: user } })),
  );

export const useUnassign = () =>
  useWish(({ user, kind, id }: Assigning) =>
    kind === "device"
      ? ask(api.DELETE("/api/v1/meters/{device_id}/assign/{user_id}", { params: { path: { device_id: id, user_id: user } } }))
      : ask(api.DELETE("/api/v1/sites/{site_id}/assign/{user_id}", { params: { path: { site_id: id, user_id: user } } })),
  );

export const useMakeKey = () => useWish((body: Schemas["ApiKeyWanted"]) => ask(api.POST("/api/v1/api-keys", { body })));

export const useRevokeKey = () =>
  useWish((id: string) => ask(api.DELETE("/api/v1/api-keys/{key_id}", { params: { path: { key_id: id } } })));

export const useChangeOrganisation = (organisation: string) =>
  useWish((body: Schemas["OrganisationChanges"]) =>
    ask(api.PATCH("/api/v1/organisations/{organisation_id}", { params: { path: { organisation_id: organisation } }, body })),
  );
