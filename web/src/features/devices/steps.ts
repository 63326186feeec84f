// The course of a command. Pure.

import type { Command } from "~/api/devices";

type Status = Command["status"];

export interface Step {
  readonly status: Status;
  readonly isDone: boolean;
}

const ORDER: Record<Status, number> = { queued: 0, processing: 1, succeeded: 2, failed: 2, expired: 2, cancelled: 2 };

/** Its steps until now and the one that is hoped for. */
export function stepsOf(status: Status): Step[] {
  if (status === "cancelled") return [{ status: "queued", isDone: true }, { status, isDone: true }];
  const end = ORDER[status] === 2 ? status : "succeeded";
  return (["queued", "processing", end] as const).map((one) => ({ status: one, isDone: ORDER[one] <= ORDER[status] }));
}

/** The commands with what was told of one of them: newest first, never back to an earlier step. */
export function withCommand(commands: readonly Command[], told: Command): Command[] {
  const known = commands.find(({ id }) => id === told.id);
  if (!known) return [told, ...commands];
  if (ORDER[told.status] < ORDER[known.status]) return [...commands];
  return commands.map((one) => (one.id === told.id ? told : one));
}

/** Who sent a command: the reader, another person, or a program. requestedBy: such as "user:<id>". */
export function senderOf(requestedBy: string, me: string | undefined): "you" | "person" | "program" {
  const [kind, id] = requestedBy.split(":");
  if (kind !== "user") return "program";
  return id === me ? "you" : "person";
}
