// Energy of a home over a span: who gave it, what it cost, and what is usual. Pure; energy in Wh, times in ms.

import type { Schemas } from "~/api/client";
import { USERS, type Role } from "~/lib/role";
import { wallMs } from "~/lib/time";
import { balanceOf, type Balance } from "~/lib/balance";

export type SiteEnergy = Schemas["SiteEnergyShown"];

const HOUR_MS = 3_600_000;
const LEAST_DAYS = 3;

interface Bucket {
  readonly ms: number;
  readonly balance: Balance;
}

/** The balance of each bucket that anything is known of, in the order of time. */
export function bucketsOf(energy: SiteEnergy, roles: ReadonlyMap<string, Role>): Bucket[] {
  const known = new Map<string, { id: string; name: string; role: Role; value: number }[]>();
  for (const { device, name, points } of energy.devices) {
    for (const [ts, value] of points) {
      const parts = known.get(ts);
      const part = { id: device, name, role: roles.get(device) ?? "load", value };
      if (parts) parts.push(part);
      else known.set(ts, [part]);
    }
  }
  return [...known]
    .map(([ts, parts]) => ({ ms: Date.parse(ts), balance: balanceOf(parts) }))
    .sort((one, other) => one.ms - other.ms);
}

export interface DayTotal {
  /** Null: nothing is known. */
  readonly use: number | null;
  readonly imported: number;
  readonly exported: number;
  readonly solar: number;
  readonly untracked: number;
  /** What the imported energy costs; null where nothing is known. */
  readonly cost: number | null;
  readonly isGridMeasured: boolean;
  /** 1 - imported / use; null without any use or source. */
  readonly selfSufficiency: number | null;
  readonly coverage: number;
}

/** What a span's buckets make together. */
export function totalOf(energy: SiteEnergy, roles: ReadonlyMap<string, Role>): DayTotal {
  const balances = bucketsOf(energy, roles).map(({ balance }) => balance);
  const sum = (value: (balance: Balance) => number) => balances.reduce((total, one) => total + value(one), 0);
  const use = sum((one) => one.use);
  const imported = sum((one) => one.imported);
  const made = sum((one) => one.solar + one.generator + one.batteryOut);
  const isKnown = balances.length > 0;
  return {
    use: isKnown ? use : null,
    imported,
    exported: sum((one) => one.exported),
    solar: sum((one) => one.solar),
    untracked: sum((one) => one.untracked),
    cost: isKnown ? (imported / 1_000) * Number(energy.price_per_kwh) : null,
    isGridMeasured: balances.some((one) => one.isGridMeasured),
    selfSufficiency: use > 0 && made > 0 ? 1 - Math.min(1, imported / use) : null,
    coverage: energy.total.coverage,
  };
}

export interface Usual {
  /** Watts at this hour. */
  readonly nowW: number;
  /** Wh from midnight until now. */
  readonly untilNowWh: number;
}

/** What is usual at this time of day, from whole hours of days before; null where too few are known. */
export function usualOf(energy: SiteEnergy, roles: ReadonlyMap<string, Role>, nowMs: number): Usual | null {
  const wallNow = wallMs(nowMs, energy.time_zone);
  const today = Math.floor(wallNow / (24 * HOUR_MS));
  const ofHour: number[][] = Array.from({ length: 24 }, () => []);
  for (const { ms, balance } of bucketsOf(energy, roles)) {
    const wall = wallMs(ms, energy.time_zone);
    if (Math.floor(wall / (24 * HOUR_MS)) < today) ofHour[Math.floor(wall / HOUR_MS) % 24]?.push(balance.use);
  }
  const mean = ofHour.map((values) => (values.length < LEAST_DAYS ? null : values.reduce((sum, one) => sum + one, 0) / values.length));
  const hour = Math.floor(wallNow / HOUR_MS) % 24;
  const nowW = mean[hour];
  const before = mean.slice(0, hour);
  if (nowW === null || nowW === undefined || before.includes(null)) return null;
  const part = (wallNow % HOUR_MS) / HOUR_MS;
  return { nowW, untilNowWh: before.reduce<number>((sum, one) => sum + (one ?? 0), 0) + nowW * part };
}

export interface Ranked {
  readonly id: string;
  readonly name: string;
  readonly wh: number | null;
  readonly coverage: number;
}

/** What uses energy, most first: loads and cars; what is not known comes last. */
export function rankingOf(energy: SiteEnergy, devices: readonly { id: string; name: string }[], roles: ReadonlyMap<string, Role>): Ranked[] {
  const measured = new Map(energy.devices.map((one) => [one.device, one]));
  return devices
    .filter(({ id }) => USERS.includes(roles.get(id) ?? "load"))
    .map(({ id, name }) => ({ id, name, wh: measured.get(id)?.energy_wh ?? null, coverage: measured.get(id)?.coverage ?? 0 }))
    .sort((one, other) => (other.wh ?? -1) - (one.wh ?? -1));
}
