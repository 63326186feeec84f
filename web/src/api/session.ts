// Who is looking: a person with a role in an organisation, or an API key, or nobody.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, chooseOrganisation, chosenOrganisation, type Schemas } from "./client";
import { Refusal } from "./problem";

export interface Session {
  readonly organisation: string;
  readonly organisationId: string;
  readonly role: Schemas["WhoAmI"]["role"];
  readonly rights: ReadonlySet<string>;
  readonly me: Schemas["Me"] | null;
}

const SIGNED_IN = "kilowatch_person";

function whoIsHere(): "nobody" | "person" | "key" {
  const kept = document.cookie.split("; ").find((one) => one.startsWith(`${SIGNED_IN}=`));
  if (kept === undefined) return "nobody";
  return kept.endsWith("=key") ? "key" : "person";
}

/** Whether this browser was told that somebody is signed in here: without it there is nobody to ask for. */
export function isAnybodyHere(): boolean {
  return whoIsHere() !== "nobody";
}

/** Both at once where a person is here; a key is nobody's account. */
async function askWho() {
  const me = whoIsHere() === "person" ? ask(api.GET("/api/v1/me")) : null;
  const [who, person] = await Promise.all([ask(api.GET("/api/v1/whoami")), me]);
  return { who, me: who.role ? (person ?? (await ask(api.GET("/api/v1/me")))) : null };
}

async function findSession(): Promise<Session | null> {
  if (!isAnybodyHere()) return null;
  try {
    const { who, me } = await askWho();
    return {
      organisation: who.organisation,
      organisationId: who.organisation_id,
      role: who.role,
      rights: new Set(who.rights),
      me,
    };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) {
      document.cookie = `${SIGNED_IN}=; path=/; max-age=0; samesite=strict`;
      return null;
    }
    // A place that is no longer ours: the server's own choice is better than none.
    if ((error.status === 403 || error.status === 404) && chosenOrganisation()) {
      chooseOrganisation(null);
      return findSession();
    }
    throw error;
  }
}

export const sessionQuery = queryOptions({ queryKey: ["session"], queryFn: findSession, staleTime: 60_000 });

/** Whether somebody may do this, such as "alerts:acknowledge". */
export function may(session: Session | null | undefined, right: string): boolean {
  return session?.rights.has(right) ?? false;
}
