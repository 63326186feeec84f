import { describe, expect, it } from "vitest";
import { showBytes, showFact } from "./facts";

describe("facts", () => {
  it("have the unit that their name ends with", () => {
    expect(showFact("lag_s", 7.254, "en")).toBe("7.3 sec");
    expect(showFact("used_percent", 26.61, "en")).toBe("26.6%");
    expect(showFact("messages", 15_000, "de")).toBe("15.000");
    expect(showFact("state", "able", "en")).toBe("able");
  });

  it("tell bytes as they are read", () => {
    expect(showBytes(0, "en")).toBe("0 byte");
    expect(showBytes(16_736, "en")).toBe("16.7 kB");
    expect(showBytes(79_974_645_760, "de")).toBe("80\u00a0GB");
  });
});
