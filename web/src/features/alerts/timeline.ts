// What became of an alert, in the order of time. Pure.

import type { AlertInFull } from "./queries";

export interface Moment {
  readonly at: string;
  /** Key in `moment`. */
  readonly word: "began" | "raised" | "acknowledged" | "suppressed" | "comment" | "cleared" | "by_hand";
  /** Who did it, as in the audit log. */
  readonly who: string | null;
  readonly text: string | null;
}

export function momentsOf(alert: AlertInFull): Moment[] {
  const moments: Moment[] = [
    { at: alert.since, word: "began", who: null, text: null },
    { at: alert.raised_at, word: "raised", who: null, text: null },
    ...alert.comments.map((one): Moment => ({ at: one.at, word: "comment", who: one.actor, text: one.text })),
  ];
  if (alert.acknowledged_at) moments.push({ at: alert.acknowledged_at, word: "acknowledged", who: alert.acknowledged_by, text: null });
  if (alert.resolved_at) {
    moments.push({ at: alert.resolved_at, word: alert.how ?? "cleared", who: alert.how === "by_hand" ? alert.resolved_by : null, text: null });
  }
  return moments.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}
