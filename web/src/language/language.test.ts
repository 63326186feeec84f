import { describe, expect, it } from "vitest";

const FILES = import.meta.glob<Record<string, unknown>>("./*/*.json", { eager: true, import: "default" });

function keysOf(words: Record<string, unknown>, before = ""): string[] {
  return Object.entries(words).flatMap(([key, value]) =>
    typeof value === "string" ? [`${before}${key}`] : keysOf(value as Record<string, unknown>, `${before}${key}.`),
  );
}

const english = Object.keys(FILES).filter((path) => path.startsWith("./en/"));

describe("languages", () => {
  it.each(english)("%s says the same things in German", (path) => {
    const german = FILES[path.replace("./en/", "./de/")];
    expect(keysOf(german ?? {}).sort()).toEqual(keysOf(FILES[path] ?? {}).sort());
  });

  it("has no German words without English ones", () => {
    expect(Object.keys(FILES).filter((path) => path.startsWith("./de/"))).toHaveLength(english.length);
  });
});
