// Which alerts are looked at, as it stands in the address. Pure.

import { SEVERITY_NAMES } from "~/ui/severity-choices";
import type { SeverityName } from "~/ui/severity";

export const STATUSES = ["open", "acknowledged", "suppressed", "resolved"] as const;
export type Status = (typeof STATUSES)[number];
/** What can be chosen; `living`: open or acknowledged. */
export const VIEWS = ["living", ...STATUSES, "all"] as const;
export type View = (typeof VIEWS)[number];

export const KINDS = [
  "rule", "phantom_load", "spike", "ghost_walk", "high_consumption", "zero_consumption", "negative_consumption", "offline", "model",
] as const;
export type Kind = (typeof KINDS)[number];

export interface Filter {
  readonly view: View;
  readonly severity: SeverityName | null;
  readonly kind: Kind | null;
  /** A site's id; null: of the chosen site, or of all. */
  readonly site: string | null;
  readonly device: string | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const DEVICE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

function oneOf<T extends string>(allowed: readonly T[], value: unknown): T | null {
  return allowed.find((one) => one === value) ?? null;
}

function fitting(pattern: RegExp, value: unknown): string | null {
  return (typeof value === "string" || typeof value === "number") && pattern.test(String(value)) ? String(value) : null;
}

/** What the address asks for; what makes no sense is as if it were not there. */
export function readFilter(search: Record<string, unknown>): Filter {
  return {
    view: oneOf(VIEWS, search.status) ?? "living",
    severity: oneOf(SEVERITY_NAMES, search.severity),
    kind: oneOf(KINDS, search.kind),
    site: fitting(UUID, search.site),
    device: fitting(DEVICE, search.device),
  };
}

/** The filter as it stands in the address; what is usual is left out. */
export function writeFilter(filter: Filter): Record<string, string | undefined> {
  return {
    status: filter.view === "living" ? undefined : filter.view,
    severity: filter.severity ?? undefined,
    kind: filter.kind ?? undefined,
    site: filter.site ?? undefined,
    device: filter.device ?? undefined,
  };
}

/** The statuses to ask the server for, one list each; undefined: whatever they are. */
export function statusesOf(view: View): readonly (Status | undefined)[] {
  if (view === "living") return ["open", "acknowledged"];
  return view === "all" ? [undefined] : [view];
}
