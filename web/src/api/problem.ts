// Refusals of the server (RFC 9457) as errors that pages can show.

export interface Fault {
  readonly code: string;
  readonly detail: string;
  readonly pointer?: string;
  readonly index?: number;
}

/** The server said no, or nothing: then status is 0 and code "unreachable". */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly faults: readonly Fault[] = [],
    /** After so many seconds the same may be asked again, if the server said so. */
    readonly retryAfterS: number | null = null,
  ) {
    super(detail);
    this.name = "Refusal";
  }

  /** What is wrong with each field of a form, by its name. */
  get fields(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const fault of this.faults) {
      const name = fault.pointer?.split("/").pop();
      if (name) found[name] = fault.detail;
    }
    return found;
  }
}

/** The refusal in an answer, whatever it holds. */
export function refusalOf(status: number, body: unknown, headers?: Headers): Refusal {
  const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = (name: string, otherwise: string) => (typeof problem[name] === "string" ? (problem[name] as string) : otherwise);
  const faults = Array.isArray(problem.errors) ? (problem.errors as Fault[]) : [];
  const retryAfterS = Number.parseInt(headers?.get("Retry-After") ?? "", 10);
  const detail = text("detail", `The server answered ${status}.`);
  return new Refusal(status, text("code", `http_${status}`), detail, faults, Number.isNaN(retryAfterS) ? null : retryAfterS);
}

/** A sentence for people about anything that went wrong. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Refusal) return error.detail;
  return error instanceof Error ? error.message : String(error);
}
