import { expect, it } from "vitest";
import { drawQr } from "./qr";

// As the library segno 1.6 draws it: version 1-L, mask 0.
const EXPECTED = [
  "111111100010001111111",
  "100000100110001000001",
  "101110101111101011101",
  "101110100110001011101",
  "101110100001001011101",
  "100000100000001000001",
  "111111101010101111111",
  "000000001101100000000",
  "111011111011011000100",
  "111000011011111011111",
  "001111110101101110111",
  "010011001100100000000",
  "101110111011100010001",
  "000000001101100010111",
  "111111101011111111011",
  "100000101001100110000",
  "101110101110000001001",
  "101110100010101110000",
  "101110101101101110001",
  "100000101100100010010",
  "111111101100110010011",
];

it("draws what another implementation draws", () => {
  expect(drawQr("ahovcjqxelszgnubi")?.map((line) => line.map(Number).join(""))).toEqual(EXPECTED);
});

it("grows with the text, up to version 9", () => {
  expect(drawQr("x".repeat(18))).toHaveLength(25);
  expect(drawQr("x".repeat(230))).toHaveLength(53);
  expect(drawQr("x".repeat(231))).toBeNull();
});
