import { expect, it } from "vitest";
import { hearsCommands, type Command, type Device } from "./devices";

const device = (changes: Partial<Device>) => ({ token_made_at: null, metadata: {}, ...changes }) as Device;
const command = (status: Command["status"]) => ({ status }) as Command;

it("takes a device for hearing commands if it can log in, hangs on a gateway or has answered one", () => {
  expect(hearsCommands(device({ token_made_at: "2026-11-22T02:00:00Z" }), [])).toBe(true);
  expect(hearsCommands(device({ metadata: { gateway: "cellar" } }), [])).toBe(true);
  expect(hearsCommands(device({}), [command("succeeded")])).toBe(true);
});

it("does not believe that a device hears what it never answered", () => {
  expect(hearsCommands(device({}), [])).toBe(false);
  expect(hearsCommands(device({}), [command("processing"), command("expired")])).toBe(false);
});
