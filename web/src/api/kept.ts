// Answers that come from this browser because the server is away; the service worker says when it kept them.

const KEPT_AT = "x-kept-at";
let newestMs = 0;

/** Notes when an answer was kept, if it was. */
export function noteKept(answer: Response): void {
  const kept = Date.parse(answer.headers.get(KEPT_AT) ?? "");
  if (kept > newestMs) newestMs = kept;
}

/** Of when the newest kept answer is that was shown, milliseconds since 1970; 0: none was. */
export function newestKeptMs(): number {
  return newestMs;
}
