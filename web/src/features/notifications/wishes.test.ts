import { expect, it } from "vitest";
import type { Wishes } from "./queries";
import { changeStep, targetOf, withoutStep, withStep } from "./wishes";

const wishes = { severity: "low", escalation: [] } as unknown as Wishes;

it("puts each step after the ones before it", () => {
  const two = withStep(withStep(wishes, "a"), "b");
  expect(two.escalation?.map((one) => [one.after_minutes, one.channel_id])).toEqual([[10, "a"], [20, "b"]]);
  expect(withoutStep(two, 0).escalation).toHaveLength(1);
});

it("tells a channel or a member, never both", () => {
  const one = changeStep(withStep(wishes, "a"), 0, { target: "user:u" });
  expect(one.escalation?.[0]).toMatchObject({ channel_id: null, user_id: "u" });
  expect(targetOf(one.escalation![0]!)).toBe("user:u");
  const other = changeStep(one, 0, { target: "channel:c" });
  expect(targetOf(other.escalation![0]!)).toBe("channel:c");
});

it("changes when a step is taken, and nothing else of it", () => {
  const one = changeStep(withStep(wishes, "a"), 0, { minutes: 45 });
  expect(one.escalation?.[0]).toMatchObject({ after_minutes: 45, channel_id: "a" });
});
