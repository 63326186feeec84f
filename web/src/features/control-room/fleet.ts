// The power of many devices, summed by region and site, and who changed most. Pure; power in W.

import { rolesOf, type Role } from "~/lib/role";

export interface Placed {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly site_id: string;
  readonly region: string | null;
  readonly rated_power_w: number | null;
}

interface Sums {
  powerW: number;
  /** Sum of what its devices may draw at most; 0 where nobody says. */
  ratedW: number;
  devices: number;
  /** Devices of which a power is known. */
  reporting: number;
}

export interface SiteSums extends Readonly<Sums> {
  readonly id: string;
}

export interface Region extends Readonly<Sums> {
  readonly name: string;
  /** Its sites, the largest first. */
  readonly sites: readonly SiteSums[];
}

export interface Mover {
  readonly device: Placed;
  readonly powerW: number;
  readonly changeW: number;
}

/** Who changed by less has not moved. */
const LEAST_W = 1;

export type PowerOf = (device: string) => number | undefined;

const DRAWN: Record<Role, number> = { grid: 1, load: 1, car: 1, solar: -1, generator: -1, battery: -1 };

/** How each device counts: what it gives is taken off; where the grid is measured, that says it all. */
export function weightsOf(devices: readonly Placed[]): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  const sites = new Map<string, Placed[]>();
  for (const device of devices) {
    const those = sites.get(device.site_id);
    if (those) those.push(device);
    else sites.set(device.site_id, [device]);
  }
  for (const those of sites.values()) {
    const roles = rolesOf(those);
    const isMeasured = roles.includes("grid");
    those.forEach(({ id }, at) => {
      const role = roles[at] as Role;
      weights.set(id, isMeasured && role !== "grid" ? 0 : DRAWN[role]);
    });
  }
  return weights;
}

const none = (): Sums => ({ powerW: 0, ratedW: 0, devices: 0, reporting: 0 });

function add(sums: Sums, power: number | undefined, ratedW: number, weight: number): void {
  sums.devices += 1;
  if (weight > 0) sums.ratedW += ratedW;
  if (power === undefined) return;
  sums.powerW += power * weight;
  sums.reporting += 1;
}

const largestFirst = (a: Sums, b: Sums) => Math.abs(b.powerW) - Math.abs(a.powerW);

/** Power by region, the largest first; devices without a region of their own are in their site's, or in "". */
export function regionsOf(
  devices: readonly Placed[], siteRegions: ReadonlyMap<string, string | null>, weights: ReadonlyMap<string, number>, powerOf: PowerOf,
): readonly Region[] {
  const found = new Map<string, { sums: Sums; sites: Map<string, Sums> }>();
  for (const device of devices) {
    const name = device.region ?? siteRegions.get(device.site_id) ?? "";
    let region = found.get(name);
    if (!region) found.set(name, (region = { sums: none(), sites: new Map() }));
    let site = region.sites.get(device.site_id);
    if (!site) region.sites.set(device.site_id, (site = none()));
    for (const sums of [region.sums, site]) add(sums, powerOf(device.id), device.rated_power_w ?? 0, weights.get(device.id) ?? 1);
  }
  return [...found]
    .map(([name, { sums, sites }]) => ({ name, ...sums, sites: [...sites].map(([id, one]) => ({ id, ...one })).sort(largestFirst) }))
    .sort(largestFirst);
}

/** What each device drew some time ago, so that changes can be told. */
export class Memory {
  private readonly seen: { readonly ms: number; readonly power: ReadonlyMap<string, number> }[] = [];

  /** spanMs: over how long changes are told. */
  constructor(private readonly spanMs: number) {}

  /** Notes what devices draw now. */
  note(ms: number, devices: readonly Placed[], powerOf: PowerOf): void {
    const power = new Map<string, number>();
    for (const { id } of devices) {
      const now = powerOf(id);
      if (now !== undefined) power.set(id, now);
    }
    this.seen.push({ ms, power });
    while (this.seen.length > 1 && (this.seen[1]?.ms ?? ms) <= ms - this.spanMs) this.seen.shift();
  }

  /** Who changed most since the oldest note, at most so many. */
  movers(devices: readonly Placed[], powerOf: PowerOf, most: number): readonly Mover[] {
    const before = this.seen[0]?.power;
    if (!before) return [];
    const moved: Mover[] = [];
    for (const device of devices) {
      const [was, is] = [before.get(device.id), powerOf(device.id)];
      if (was !== undefined && is !== undefined && Math.abs(is - was) >= LEAST_W) moved.push({ device, powerW: is, changeW: is - was });
    }
    return moved.sort((a, b) => Math.abs(b.changeW) - Math.abs(a.changeW)).slice(0, most);
  }
}

/** The sum of a counter over all its labels in the text format of Prometheus; null where it is not there. */
export function counterOf(text: string, name: string): number | null {
  let sum: number | null = null;
  for (const line of text.split("\n")) {
    if (!line.startsWith(name)) continue;
    const rest = line.slice(name.length);
    if (rest[0] !== "{" && rest[0] !== " ") continue;
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (Number.isFinite(value)) sum = (sum ?? 0) + value;
  }
  return sum;
}
