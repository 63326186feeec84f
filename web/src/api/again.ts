// Whether and when a question that failed is asked again: what was not reached soon, what was too much when the server
// says so; any other refusal stays one.

import { Refusal } from "./problem";

const TRIES = 3;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** Longer than this nobody is left waiting: the refusal is shown. */
const PATIENCE_S = 60;

/** Whether to ask again after so many failures, of which this was the last. */
export function mayAskAgain(failures: number, error: unknown): boolean {
  if (failures >= TRIES || !(error instanceof Refusal)) return false;
  if (error.status === 429) return (error.retryAfterS ?? 0) <= PATIENCE_S;
  return error.status === 0 || error.status >= 502;
}

/** How many milliseconds to wait before that. */
export function waitMs(failures: number, error: unknown): number {
  if (error instanceof Refusal && error.retryAfterS !== null) return Math.min(error.retryAfterS, PATIENCE_S) * 1_000;
  return Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS);
}
