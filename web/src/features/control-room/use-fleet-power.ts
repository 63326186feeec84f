// The fleet's power by region and its movers, worked out anew once a second however many readings come.

import { useEffect, useState } from "react";
import { newest } from "~/live/hooks";
import { Ring } from "~/live/ring";
import { Memory, regionsOf, weightsOf, type Mover, type Placed, type Region } from "./fleet";

const EVERY_MS = 1_000;
const NOTE_EVERY = 5;
const SPAN_MS = 300_000;
const MOVERS = 8;

export interface FleetPower {
  readonly regions: readonly Region[];
  readonly movers: readonly Mover[];
}

function powerOf(device: string): number | undefined {
  const value = newest.value(device, "power");
  return typeof value === "number" ? value : undefined;
}

export function useFleetPower(devices: readonly Placed[], siteRegions: ReadonlyMap<string, string | null>): FleetPower & { course: Ring } {
  const [shown, setShown] = useState<FleetPower>({ regions: [], movers: [] });
  const [course] = useState(() => new Ring());
  useEffect(() => {
    const memory = new Memory(SPAN_MS);
    const weights = weightsOf(devices);
    let turn = 0;
    const look = () => {
      const regions = regionsOf(devices, siteRegions, weights, powerOf);
      const now = Date.now();
      if (regions.some((one) => one.reporting)) course.push(now / 1_000, regions.reduce((sum, one) => sum + one.powerW, 0));
      if (turn % NOTE_EVERY === 0) memory.note(now, devices, powerOf);
      turn += 1;
      if (!document.hidden || turn === 1) setShown({ regions, movers: memory.movers(devices, powerOf, MOVERS) });
    };
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, [devices, siteRegions, course]);
  return { ...shown, course };
}
