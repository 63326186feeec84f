import { afterEach, expect, test, vi } from "vitest";
import { entryOf, watchBuild } from "./build";

const shell = (entry: string) => `<head><script type="module" crossorigin src="/assets/${entry}"></script></head>`;

afterEach(() => vi.unstubAllGlobals());

test("the entry is the first script of the app", () => {
  expect(entryOf(shell("index-a1.js"))).toBe("/assets/index-a1.js");
  expect(entryOf('<script type="module" src="/src/main.tsx"></script>')).toBeNull();
  expect(entryOf("Kilowatch runs, but its web app was not built.")).toBeNull();
});

test.each([
  ["the same build", shell("index-a1.js"), 0],
  ["another build", shell("index-b2.js"), 1],
  ["no build", "not built", 0],
])("a page that is seen again is told of %s", async (_, body, times) => {
  document.documentElement.innerHTML = shell("index-a1.js");
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body)));
  const tell = vi.fn();
  const stop = watchBuild(tell);
  document.dispatchEvent(new Event("visibilitychange"));
  await vi.waitFor(() => expect(tell).toHaveBeenCalledTimes(times));
  stop();
  document.dispatchEvent(new Event("visibilitychange"));
  await new Promise((done) => setTimeout(done));
  expect(tell).toHaveBeenCalledTimes(times);
});
