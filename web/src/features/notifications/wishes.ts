// What somebody wants to be told, as a form keeps it. Pure.

import type { Wishes } from "./queries";

export type Step = NonNullable<Wishes["escalation"]>[number];

export const QUIET: NonNullable<Wishes["quiet_hours"]> = { start: "22:00", end: "07:00", lets_through: "critical" };
export const DIGEST: NonNullable<Wishes["digest"]> = { at: "07:30", severity: "low" };
const AFTER_MINUTES = 10;

/** One step more: later than those that are there, by the channel. */
export function withStep(wishes: Wishes, channel: string | null): Wishes {
  const steps = wishes.escalation ?? [];
  const last = steps.at(-1)?.after_minutes ?? 0;
  return { ...wishes, escalation: [...steps, { after_minutes: last + AFTER_MINUTES, channel_id: channel, repeats: 0 }] };
}

/** Changes a step. target: "channel:<id>" or "user:<id>". */
export function changeStep(wishes: Wishes, at: number, changes: { minutes?: number; target?: string }): Wishes {
  const steps = (wishes.escalation ?? []).map((step, place): Step => {
    if (place !== at) return step;
    if (changes.target === undefined) return { ...step, after_minutes: changes.minutes ?? step.after_minutes };
    const [kind, id = null] = changes.target.split(":");
    return { ...step, channel_id: kind === "channel" ? id : null, user_id: kind === "user" ? id : null };
  });
  return { ...wishes, escalation: steps };
}

export function withoutStep(wishes: Wishes, at: number): Wishes {
  return { ...wishes, escalation: (wishes.escalation ?? []).filter((_, place) => place !== at) };
}

export function targetOf(step: Step): string | null {
  if (step.channel_id) return `channel:${step.channel_id}`;
  return step.user_id ? `user:${step.user_id}` : null;
}
