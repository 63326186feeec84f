// What a whole site used where what gives is measured beside what takes: their sum would count everything twice. Pure;
// energy in Wh.

import type { Amounts } from "~/charts/stack";
import { balanceOf } from "~/lib/balance";
import { rolesOf, USERS } from "~/lib/role";
import type { EnergyStep } from "~/period/granularity";
import { total } from "./shape";

/** In buckets that are longer, what went out and what came in cancel each other, and money does not. */
const PRICED: readonly EnergyStep[] = ["15m", "1h"];

export interface SiteUse {
  /** What was used in each bucket; null: nothing is known. */
  readonly amounts: Amounts;
  /** The part of it that no device tells of. */
  readonly untracked: Amounts;
  /** What came from the grid; null where the buckets do not tell. */
  readonly importedWh: number | null;
}

interface Typed {
  readonly id: string;
  readonly type: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** The devices that give energy, the grid among them; none where devices only use it. */
export function giversOf(devices: readonly Typed[]): Set<string> {
  const roles = rolesOf(devices);
  return new Set(devices.flatMap(({ id }, at) => (USERS.includes(roles[at] ?? "load") ? [] : [id])));
}

/** What the site used by bucket, from what its devices measured. */
export function siteUseOf(devices: readonly Typed[], amounts: (id: string) => Amounts, buckets: number, step: EnergyStep): SiteUse {
  const roles = rolesOf(devices);
  const measured = devices.map(({ id }, at) => ({ id, name: id, role: roles[at] ?? "load", own: amounts(id) }));
  const balances = Array.from({ length: buckets }, (_, at) => balanceOf(measured.map(({ own, ...part }) => ({ ...part, value: own[at] ?? null }))));
  return {
    amounts: balances.map((one) => (one.isKnown ? one.use : null)),
    untracked: balances.map((one) => (one.isKnown ? one.untracked : null)),
    importedWh: PRICED.includes(step) ? total(balances.map((one) => (one.isKnown ? one.imported : null))) : null,
  };
}
