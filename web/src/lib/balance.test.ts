import { describe, expect, it } from "vitest";
import type { Role } from "~/lib/role";
import { balanceOf, sharesOf, type Balance, type Part } from "./balance";

const parts = (...given: [Role, number | null][]): Part[] => given.map(([role, value], at) => ({ id: `${at}`, name: `${at}`, role, value }));

function arrives(balance: Balance): void {
  const shares = sharesOf(balance);
  const sum = (values: number[]) => values.reduce((total, one) => total + one, 0);
  const from = (name: string) => sum(shares.filter((one) => one.from === name).map((one) => one.value));
  const to = (name: string) => sum(shares.filter((one) => one.to === name).map((one) => one.value));
  expect(from("grid")).toBeCloseTo(balance.imported);
  expect(from("solar")).toBeCloseTo(balance.solar);
  expect(from("battery")).toBeCloseTo(balance.batteryOut);
  expect(to("home")).toBeCloseTo(balance.use);
  expect(to("battery")).toBeCloseTo(balance.batteryIn);
  expect(to("export")).toBeCloseTo(balance.exported);
}

describe("balance", () => {
  it("takes the grid for what is left over where nothing measures it", () => {
    const balance = balanceOf(parts(["load", 300], ["load", 200], ["solar", 150]));
    expect(balance).toMatchObject({ use: 500, imported: 350, exported: 0, untracked: 0, imbalance: 0, isGridMeasured: false });
    arrives(balance);
  });

  it("finds what no device tells of", () => {
    const balance = balanceOf(parts(["grid", 1000], ["load", 300], ["car", 400]));
    expect(balance).toMatchObject({ use: 1000, car: 400, untracked: 300, imbalance: 0 });
    arrives(balance);
  });

  it("shows an imbalance instead of hiding it", () => {
    const balance = balanceOf(parts(["grid", 100], ["load", 300]));
    expect(balance).toMatchObject({ use: 300, untracked: 0, imbalance: 200 });
    expect(sharesOf(balance)).toContainEqual({ from: "imbalance", to: "home", value: 200 });
    arrives(balance);
  });

  it("gives surplus sun to battery and grid", () => {
    const balance = balanceOf(parts(["grid", -1000], ["solar", 4000], ["battery", -1500], ["load", 1200]));
    expect(balance).toMatchObject({ use: 1500, exported: 1000, batteryIn: 1500, untracked: 300 });
    arrives(balance);
  });

  it("counts what a plant draws at night as use", () => {
    const balance = balanceOf(parts(["solar", -10], ["load", 90]));
    expect(balance).toMatchObject({ use: 100, solar: 0, imported: 100 });
  });

  it("takes a load that gives for a generator", () => {
    const balance = balanceOf(parts(["load", -200], ["load", 500]));
    expect(balance).toMatchObject({ use: 500, generator: 200, imported: 300 });
    arrives(balance);
  });

  it("knows when nothing is known", () => {
    expect(balanceOf(parts(["load", null], ["grid", null]))).toMatchObject({ isKnown: false, isGridMeasured: false });
  });

  it("balances whatever is given", () => {
    let seed = 7;
    const chance = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 300; round += 1) {
      const power = () => (chance() - 0.3) * 5000;
      arrives(balanceOf(parts(["grid", power()], ["solar", Math.max(0, power())], ["battery", power()], ["load", Math.max(0, power())], ["car", Math.max(0, power())])));
    }
  });
});
