import { expect, it } from "vitest";
import type { AlertInFull } from "./queries";
import { momentsOf } from "./timeline";

const alert = {
  since: "2026-01-01T10:00:00Z", raised_at: "2026-01-01T10:05:00Z", acknowledged_at: "2026-01-01T10:10:00.500Z",
  acknowledged_by: "user:1", resolved_at: "2026-01-01T12:00:00Z", resolved_by: null, how: "cleared",
  comments: [{ id: "c", at: "2026-01-01T10:10:00Z", actor: "user:2", text: "On my way." }],
} as unknown as AlertInFull;

it("tells what became of an alert in the order of time", () => {
  expect(momentsOf(alert).map((one) => one.word)).toEqual(["began", "raised", "comment", "acknowledged", "cleared"]);
});

it("names who ended it only where somebody did", () => {
  expect(momentsOf(alert).at(-1)?.who).toBeNull();
  const ended = { ...alert, how: "by_hand", resolved_by: "user:3" } as AlertInFull;
  expect(momentsOf(ended).at(-1)).toMatchObject({ word: "by_hand", who: "user:3" });
});

it("tells only what has happened", () => {
  const open = { ...alert, acknowledged_at: null, resolved_at: null, comments: [] } as AlertInFull;
  expect(momentsOf(open).map((one) => one.word)).toEqual(["began", "raised"]);
});
