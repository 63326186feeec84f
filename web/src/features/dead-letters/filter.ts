// Which refused readings are looked at, as it stands in the address. Pure.

export interface Filter {
  readonly code: string | null;
  readonly door: string | null;
  readonly device: string | null;
  /** Whether those that were sent once more are shown instead of those that wait. */
  readonly replayed: boolean;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

function nameIn(value: unknown): string | null {
  return (typeof value === "string" || typeof value === "number") && NAME.test(String(value)) ? String(value) : null;
}

export function readFilter(search: Record<string, unknown>): Filter {
  return { code: nameIn(search.code), door: nameIn(search.door), device: nameIn(search.device), replayed: search.replayed === true };
}

export function writeFilter(filter: Filter): Record<string, string | boolean | undefined> {
  return {
    code: filter.code ?? undefined, door: filter.door ?? undefined, device: filter.device ?? undefined, replayed: filter.replayed || undefined,
  };
}

/** Whether the filter names what is meant, so that all of it may be thrown away at once. */
export function isNarrow(filter: Filter): boolean {
  return filter.code !== null || filter.door !== null || filter.device !== null || filter.replayed;
}
