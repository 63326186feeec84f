import { expect, it } from "vitest";
import words from "./de/metrics.json";
import { metricName } from "./metric-name";

const t = (key: string, { defaultValue }: { defaultValue: string }) =>
  (words as Record<string, string>)[key.replace("metrics:", "")] ?? defaultValue;

it("names what the catalogue knows, one phase of it, and anything else by its own name", () => {
  expect(metricName("voltage", t)).toBe("Spannung");
  expect(metricName("power_l2", t)).toBe("Leistung L2");
  expect(metricName("my_own_l4", t)).toBe("My own l4");
});
