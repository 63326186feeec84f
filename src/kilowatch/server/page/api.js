// The one way to the server: same origin, session cookie, problems as errors with their own sentence.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Asks the API; answers the response. Throws Refused, or TypeError when the server is away. */
export async function ask(path, options = {}) {
  const answer = await fetch(`/api/v1${path}`, { credentials: "same-origin", cache: "no-store", ...options });
  if (answer.ok) return answer;
  let detail = `The server answered ${answer.status}.`;
  if ((answer.headers.get("content-type") ?? "").includes("json")) {
    detail = (await answer.json()).detail ?? detail;
  }
  throw new Refused(answer.status, detail);
}

/** The JSON answer to a GET. */
export async function read(path, signal) {
  return (await ask(path, { signal })).json();
}

/** A path with a query; parameters without a value are left out. */
export function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Exchanges an API key for a session cookie. */
export async function openSession(key) {
  await ask("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key }),
  });
}

/** What a failure means, in a sentence. */
export function sentence(error) {
  return error instanceof Refused ? error.message : "The server does not answer.";
}
