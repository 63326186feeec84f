import { expect, it } from "vitest";
import { Ring } from "~/live/ring";
import { joined } from "./course";

it("joins past and present in the order of time, nothing twice", () => {
  const live = new Ring(10);
  for (const at of [3, 6, 7]) live.push(at, at);
  const [ts, value] = joined([[1, 1], [2, 2], [5, 5], [6, 60]], live, 20).since(0);
  expect([...ts]).toEqual([1, 2, 3, 5, 6, 7]);
  expect([...value]).toEqual([1, 2, 3, 5, 60, 7]);
});

it("keeps what came live while there is no past", () => {
  const live = new Ring(4);
  live.push(1, 8);
  expect([...joined([], live, 4).since(0)[1]]).toEqual([8]);
});
