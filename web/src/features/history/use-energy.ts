// Energy of what is looked at, and of what it is compared with, by the same buckets.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Site } from "~/api/place";
import { bucketsOf, energyStep, type EnergyStep } from "~/period/granularity";
import { energyQuery, type Device, type EnergyAsked, type SiteEnergy } from "./queries";
import { amountsOf, comparedAmounts, OTHERS_COLOR, sourcesOf, split, sumOf, type Source } from "./shape";
import { giversOf, siteUseOf, type SiteUse } from "./site-use";
import type { View } from "~/period/search";
import type { Look } from "./use-view";

const MOST_NAMED = 100;
const UNTRACKED_COLOR = "--kw-quiet";

export interface EnergyRow {
  /** null: of all that are put together. */
  readonly id: string | null;
  readonly name: string;
  readonly color: string;
  readonly amounts: readonly (number | null)[];
  readonly compared?: readonly (number | null)[];
}

export interface Energy {
  readonly step: EnergyStep;
  readonly edges: readonly number[];
  readonly rows: readonly EnergyRow[];
  readonly sources: readonly Source[];
  /** Who of these gives energy, where the whole of a site is looked at. */
  readonly givers: ReadonlySet<string>;
  /** What the site used and, where it is compared, used before; null where nobody gives: it is the sum. */
  readonly use: SiteUse | null;
  readonly useBefore: SiteUse | null;
  readonly document: SiteEnergy;
  readonly before: SiteEnergy | null;
}

function rowsOf(sources: readonly Source[], amounts: (id: string) => EnergyRow["amounts"], compared: ((id: string) => EnergyRow["amounts"]) | null, others: string): EnergyRow[] {
  const [own, rest] = split(sources);
  const rows: EnergyRow[] = own.map(({ id, name, color }) => ({ id, name, color, amounts: amounts(id), compared: compared?.(id) }));
  if (!rest.length) return rows;
  const together = (of: (id: string) => EnergyRow["amounts"]) => sumOf(rest.map(({ id }) => of(id)));
  return [...rows, { id: null, name: others, color: OTHERS_COLOR, amounts: together(amounts), compared: compared ? together(compared) : undefined }];
}

const NOBODY: ReadonlySet<string> = new Set();

/** Who gives energy, unless one of them is looked at alone. */
function giversBeside(devices: readonly Device[], only: string | null): ReadonlySet<string> {
  const givers = giversOf(devices);
  return only !== null && givers.has(only) ? NOBODY : givers;
}

/** Those who use, by their ids; null where nobody gives, or where they are more than a question may name. */
export function usersOf({ sources, givers }: Energy): string[] | null {
  const users = sources.flatMap(({ id }) => (givers.has(id) ? [] : [id]));
  return givers.size > 0 && users.length <= MOST_NAMED ? users : null;
}

interface Names {
  readonly others: string;
  readonly untracked: string;
}

export function useEnergy(view: View, look: Look, site: Site, devices: readonly Device[], { others, untracked }: Names) {
  const zone = site.time_zone;
  const { seen, compared } = look;
  const { only } = view;
  const isWhole = view.devices.length === 0;
  const step = energyStep(seen, zone);
  const asked: EnergyAsked = { site: site.id, span: seen, step, devices: view.devices };
  const askedBefore = compared && { ...asked, span: compared };
  const now = useQuery(energyQuery(asked));
  const then = useQuery(energyQuery(askedBefore));
  const before = compared ? (then.data ?? null) : null;

  const energy = useMemo((): Energy | undefined => {
    const document = now.data;
    // What is kept from the span before is of other buckets.
    if (!document || document.resolution !== step) return undefined;
    const edges = bucketsOf(step, seen, zone);
    const own = compared ? bucketsOf(step, compared, zone) : [];
    const pointsOf = (found: SiteEnergy | null, id: string) => found?.devices.find((one) => one.device === id)?.points ?? [];
    const sources = sourcesOf(document.devices, before?.devices ?? null, devices.map((one) => one.id));
    const amounts = (id: string) => amountsOf(pointsOf(document, id), edges);
    const amountsBefore = before && compared ? (id: string) => comparedAmounts(pointsOf(before, id), step, edges, own, compared, seen, zone) : null;
    const givers = isWhole ? giversBeside(devices, only) : NOBODY;
    const rows = rowsOf(sources.filter(({ id }) => !givers.has(id)), amounts, amountsBefore, others);
    if (!givers.size) return { step, edges, rows, sources, givers, use: null, useBefore: null, document, before };
    const use = siteUseOf(devices, amounts, edges.length - 1, step);
    const useBefore = amountsBefore && siteUseOf(devices, amountsBefore, edges.length - 1, step);
    rows.push({ id: null, name: untracked, color: UNTRACKED_COLOR, amounts: use.untracked, compared: useBefore?.untracked });
    return { step, edges, rows, sources, givers, use, useBefore, document, before };
  }, [now.data, before, step, seen, compared, zone, devices, others, untracked, isWhole, only]);

  return { asked, askedBefore, query: now, energy };
}
