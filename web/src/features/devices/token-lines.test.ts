import { expect, it } from "vitest";
import { curlLine, mosquittoLine } from "./token-lines";

it("sends as the device", () => {
  expect(curlLine("http://h:1", "m-1", "T")).toBe(
    `curl http://h:1/api/v1/readings -H 'Authorization: Bearer T' \\\n  -H 'Content-Type: application/json' -d '{"device":"m-1","metrics":{"power":195.9}}'`,
  );
  expect(mosquittoLine("h", 21883, "home", "m-1", "T")).toContain("-h h -p 21883 -i home/m-1 -u home/m-1 -P 'T' -q 1");
  expect(mosquittoLine("h", null, "home", "m-1", "T")).toContain("-t home/devices/m-1/telemetry");
  expect(mosquittoLine("h", null, "home", "m-1", "T")).toContain("-p 1883");
});
