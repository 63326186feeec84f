import { expect, it } from "vitest";
import type { Command } from "~/api/devices";
import { senderOf, stepsOf, withCommand } from "./steps";

const command = (id: string, status: Command["status"]): Command => ({
  id, status, device: "d", name: "toggle", arguments: {}, detail: null, requested_by: "a", tries: 1, created_at: "", expires_at: "", ended_at: null,
});

it("shows what was done and what is hoped for", () => {
  const words = (status: Command["status"]) => stepsOf(status).map((step) => `${step.status}${step.isDone ? "" : "?"}`).join(" ");
  expect(words("queued")).toBe("queued processing? succeeded?");
  expect(words("processing")).toBe("queued processing succeeded?");
  expect(words("failed")).toBe("queued processing failed");
  expect(words("cancelled")).toBe("queued cancelled");
});

it("never goes back", () => {
  const known = [command("a", "succeeded"), command("b", "queued")];
  expect(withCommand(known, command("a", "processing")).map(({ status }) => status)).toEqual(["succeeded", "queued"]);
  expect(withCommand(known, command("b", "processing")).map(({ status }) => status)).toEqual(["succeeded", "processing"]);
  expect(withCommand(known, command("c", "queued")).map(({ id }) => id)).toEqual(["c", "a", "b"]);
});

it("says who sent it", () => {
  expect([senderOf("user:1", "1"), senderOf("user:2", "1"), senderOf("key:3", "1"), senderOf("user:2", undefined)]).toEqual(["you", "person", "program", "person"]);
});
