// Who gives power to whom in a home. Pure: watts in, watts out; the same holds for energy of one interval.
// Keeps true: what comes in equals what goes out, or the difference is told as an imbalance.

import type { Role } from "./role";

/** A device with its role and what it draws or gives; null: not known. */
export interface Part {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly value: number | null;
}

export interface Balance {
  readonly imported: number;
  readonly exported: number;
  readonly solar: number;
  readonly generator: number;
  readonly batteryOut: number;
  readonly batteryIn: number;
  /** What the home uses, cars and what no device tells included. */
  readonly use: number;
  readonly car: number;
  /** Use that no device tells of; 0 where the grid is not measured. */
  readonly untracked: number;
  /** What goes out beyond all that comes in; 0 where everything fits. */
  readonly imbalance: number;
  /** False: nothing measures the grid, so it is what is left over. */
  readonly isGridMeasured: boolean;
  /** Whether any value is known at all. */
  readonly isKnown: boolean;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** The balance of a home's parts. */
export function balanceOf(parts: readonly Part[]): Balance {
  const of = (role: Role) => parts.filter((part) => part.role === role && part.value !== null).map((part) => part.value as number);
  const grid = of("grid");
  const battery = of("battery");
  const given = (values: readonly number[]) => sum(values.map((value) => Math.max(0, value)));
  const taken = (values: readonly number[]) => sum(values.map((value) => Math.max(0, -value)));
  const solar = given(of("solar"));
  const car = given(of("car"));
  // What gives although it is said to use feeds in like a generator.
  const generator = given(of("generator")) + taken(of("load")) + taken(of("car"));
  const batteryNet = sum(battery);
  // What a plant draws at night is use like any other.
  const tracked = given(of("load")) + car + taken(of("solar")) + taken(of("generator"));
  const isGridMeasured = grid.length > 0;
  const gridNet = isGridMeasured ? sum(grid) : tracked - solar - generator - batteryNet;
  const supplied = gridNet + solar + generator + batteryNet;
  const use = Math.max(0, supplied, tracked);
  return {
    imported: Math.max(0, gridNet),
    exported: Math.max(0, -gridNet),
    solar,
    generator,
    batteryOut: Math.max(0, batteryNet),
    batteryIn: Math.max(0, -batteryNet),
    use,
    car,
    untracked: Math.max(0, supplied - tracked),
    imbalance: Math.max(0, tracked - supplied),
    isGridMeasured,
    isKnown: parts.some((part) => part.value !== null),
  };
}

export type Source = "grid" | "solar" | "generator" | "battery" | "imbalance";
export type Target = "home" | "battery" | "export";

export interface Share {
  readonly from: Source;
  readonly to: Target;
  readonly value: number;
}

/** Which source feeds what, in the order that Home Assistant takes: surplus import charges the battery, then solar
charges it and goes out, then the battery goes out, then the grid charges; what is left of each feeds the home. */
export function sharesOf(balance: Balance): Share[] {
  const left: Record<Source, number> = {
    grid: balance.imported,
    solar: balance.solar,
    generator: balance.generator,
    battery: balance.batteryOut,
    imbalance: balance.imbalance,
  };
  const wanted: Record<Target, number> = { battery: balance.batteryIn, export: balance.exported, home: balance.use };
  const shares = new Map<string, Share>();
  const give = (from: Source, to: Target, most = Infinity) => {
    const value = Math.min(left[from], wanted[to], most);
    if (value <= 0) return;
    left[from] -= value;
    wanted[to] -= value;
    const key = `${from} ${to}`;
    shares.set(key, { from, to, value: (shares.get(key)?.value ?? 0) + value });
  };
  give("grid", "battery", Math.max(0, balance.imported - balance.use));
  for (const from of ["solar", "generator"] as const) give(from, "battery");
  for (const from of ["solar", "generator", "battery"] as const) give(from, "export");
  give("grid", "battery");
  for (const to of ["battery", "export"] as const) give("imbalance", to);
  for (const from of ["solar", "generator", "battery", "grid", "imbalance"] as const) give(from, "home");
  return [...shares.values()];
}
