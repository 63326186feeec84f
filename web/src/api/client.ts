// The way to the server: typed by its OpenAPI document, in the chosen organisation, with sessions renewed once.

import createClient from "openapi-fetch";
import { noteKept } from "./kept";
import { Refusal, refusalOf } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

const CHOSEN = "kilowatch.organisation";
const UNREACHABLE = "The server cannot be reached.";
const NEVER_RENEWED = ["/api/v1/auth/", "/api/v1/session"];

/** The organisation that a person looks at: a slug or an id; null for the server's choice. */
export function chosenOrganisation(): string | null {
  return localStorage.getItem(CHOSEN);
}

export function chooseOrganisation(organisation: string | null): void {
  if (organisation === null) localStorage.removeItem(CHOSEN);
  else localStorage.setItem(CHOSEN, organisation);
}

let renewing: Promise<boolean> | null = null;

/** Renews the session from its cookie, once for all who ask at the same time; whether it worked. */
export function renewSession(): Promise<boolean> {
  renewing ??= fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  })
    .then((answer) => answer.ok, () => false)
    .finally(() => {
      renewing = null;
    });
  return renewing;
}

async function send(request: Request): Promise<Response> {
  const organisation = chosenOrganisation();
  if (organisation) request.headers.set("X-Organisation", organisation);
  const again = request.clone();
  let answer: Response;
  try {
    answer = await fetch(request);
    const mayRenew = !NEVER_RENEWED.some((path) => new URL(request.url).pathname.startsWith(path));
    noteKept(answer);
    if (answer.status === 401 && mayRenew && (await renewSession())) answer = await fetch(again);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, "unreachable", UNREACHABLE);
  }
  return answer;
}

/** Requests by path and method; see `ask`. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

interface Answer<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** What the server answered, as a document: what it offers as a file besides is left out of the type.

Throws a `Refusal` where it refused. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<Exclude<T, string>> {
  const { data, error, response } = await answer;
  if (!response.ok) throw refusalOf(response.status, error, response.headers);
  return data as Exclude<T, string>;
}
