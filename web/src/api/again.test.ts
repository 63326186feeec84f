import { describe, expect, it } from "vitest";
import { mayAskAgain, waitMs } from "./again";
import { Refusal, refusalOf } from "./problem";

function refused(status: number, after?: string): Refusal {
  return refusalOf(status, {}, new Headers(after === undefined ? {} : { "Retry-After": after }));
}

describe("asking again", () => {
  it("waits as long as the server says where it was too much", () => {
    expect(mayAskAgain(0, refused(429, "20"))).toBe(true);
    expect(waitMs(0, refused(429, "20"))).toBe(20_000);
    expect(mayAskAgain(0, refused(429, "3600"))).toBe(false);
  });

  it("tries what was not reached three times, with longer and longer pauses", () => {
    const away = new Refusal(0, "unreachable", "The server cannot be reached.");
    expect([0, 1, 2, 3].map((failures) => mayAskAgain(failures, away))).toEqual([true, true, true, false]);
    expect([0, 1, 2].map((failures) => waitMs(failures, away))).toEqual([1_000, 2_000, 4_000]);
    expect(mayAskAgain(0, refused(503, "5"))).toBe(true);
    expect(waitMs(0, refused(503, "5"))).toBe(5_000);
  });

  it("leaves any other refusal as it is", () => {
    for (const status of [400, 401, 403, 404, 409, 422, 500]) expect(mayAskAgain(0, refused(status))).toBe(false);
    expect(mayAskAgain(0, new Error("broken"))).toBe(false);
  });
});
