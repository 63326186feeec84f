import { expect, it } from "vitest";
import { targetOf } from "./target";

it.each(["/", "/alerts?status=open", "/devices/D1#health"])("goes on to %s", (to) => {
  expect(targetOf(to)).toBe(to);
});

it.each([
  "https://elsewhere.example", "//elsewhere.example/x", "/\\elsewhere.example", "/\t/elsewhere.example", "/a/..//elsewhere.example", "javascript:alert(1)",
  "alerts", "", undefined, 7, "/sign-in?to=/", "/sign-up",
])("goes home for %s", (to) => {
  expect(targetOf(to)).toBe("/");
});
