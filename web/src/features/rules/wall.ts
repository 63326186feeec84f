// Moments as a `datetime-local` field has them: what a clock in a zone shows. Pure.

import { momentOf, wallMs } from "~/lib/time";

/** The field's text for a moment. */
export function toField(ms: number, zone: string): string {
  return new Date(wallMs(ms, zone)).toISOString().slice(0, 16);
}

/** The moment that a field's text means in the zone; null where it means none. */
export function fromField(text: string, zone: string): number | null {
  const wall = text ? Date.parse(`${text}:00Z`) : NaN;
  return Number.isFinite(wall) ? momentOf(wall, zone) : null;
}
