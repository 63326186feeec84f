// Energy of what is looked at, and of what it is compared with, by the same buckets.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Site } from "~/api/place";
import { bucketsOf, energyStep, type EnergyStep } from "~/period/granularity";
import { energyQuery, type Device, type EnergyAsked, type SiteEnergy } from "./queries";
import { amountsOf, comparedAmounts, OTHERS_COLOR, sourcesOf, split, sumOf, type Source } from "./shape";
import type { View } from "~/period/search";
import type { Look } from "./use-view";

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

export function useEnergy(view: View, look: Look, site: Site, devices: readonly Device[], others: string) {
  const zone = site.time_zone;
  const { seen, compared } = look;
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
    const rows = rowsOf(
      sources,
      (id) => amountsOf(pointsOf(document, id), edges),
      before && compared ? (id) => comparedAmounts(pointsOf(before, id), step, edges, own, compared, seen, zone) : null,
      others,
    );
    return { step, edges, rows, sources, document, before };
  }, [now.data, before, step, seen, compared, zone, devices, others]);

  return { asked, askedBefore, query: now, energy };
}
