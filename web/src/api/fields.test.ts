import { expect, it } from "vitest";
import { faultsOf, otherFault } from "./fields";
import { Refusal } from "./problem";

const refusal = new Refusal(422, "invalid", "It fails.", [{ code: "bad", detail: "Too short.", pointer: "/body/name" }]);

it("puts what is wrong at its field", () => {
  expect(faultsOf(refusal)).toEqual({ name: "Too short." });
  expect(faultsOf(new Error("gone"))).toEqual({});
});

it("says as a sentence only what no field says", () => {
  expect(otherFault(refusal, ["name"])).toBeNull();
  expect(otherFault(refusal, ["email"])).toBe("It fails.");
  expect(otherFault(new Refusal(409, "taken", "It is taken."), ["name"])).toBe("It is taken.");
  expect(otherFault(null, [])).toBeNull();
});
