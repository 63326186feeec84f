// The power of many devices, summed by region, and who changed most. Pure; power in W.

export interface Placed {
  readonly id: string;
  readonly name: string;
  readonly site_id: string;
  readonly region: string | null;
  readonly rated_power_w: number | null;
}

export interface Region {
  readonly name: string;
  readonly powerW: number;
  /** Sum of what its devices may draw at most; 0 where nobody says. */
  readonly ratedW: number;
  readonly devices: number;
  /** Devices of which a power is known. */
  readonly reporting: number;
}

export interface Mover {
  readonly device: Placed;
  readonly powerW: number;
  readonly changeW: number;
}

export type PowerOf = (device: string) => number | undefined;

/** Power by region, the largest first; devices without a region of their own are in their site's, or in "". */
export function regionsOf(devices: readonly Placed[], siteRegions: ReadonlyMap<string, string | null>, powerOf: PowerOf): readonly Region[] {
  const found = new Map<string, { powerW: number; ratedW: number; devices: number; reporting: number }>();
  for (const device of devices) {
    const name = device.region ?? siteRegions.get(device.site_id) ?? "";
    let region = found.get(name);
    if (!region) found.set(name, (region = { powerW: 0, ratedW: 0, devices: 0, reporting: 0 }));
    const power = powerOf(device.id);
    region.devices += 1;
    region.ratedW += device.rated_power_w ?? 0;
    if (power !== undefined) {
      region.powerW += power;
      region.reporting += 1;
    }
  }
  return [...found].map(([name, sums]) => ({ name, ...sums })).sort((a, b) => Math.abs(b.powerW) - Math.abs(a.powerW));
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
      if (was !== undefined && is !== undefined && is !== was) moved.push({ device, powerW: is, changeW: is - was });
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
