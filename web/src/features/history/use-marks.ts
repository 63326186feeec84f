// What is marked on the time axis: alerts that were raised in the span, and what happened outside.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { may, sessionQuery } from "~/api/session";
import type { Marker } from "~/charts/markers";
import type { Span } from "~/period/period";
import { alertsQuery, eventsQuery, type Alert, type OutsideEvent } from "./queries";

export interface Marks {
  readonly alerts: readonly Alert[];
  readonly events: readonly OutsideEvent[];
  readonly markers: readonly Marker[];
}

const NONE: readonly never[] = [];

export function useMarks(site: string, seen: Span, devices: readonly string[], nowMs: number): Marks {
  const { data: session } = useQuery(sessionQuery);
  const alerts = useQuery(alertsQuery(may(session, "alerts:read") ? site : null, seen)).data ?? NONE;
  const events = useQuery(eventsQuery(seen, may(session, "simulation:read"))).data ?? NONE;
  return useMemo(() => {
    const isIn = (ms: number) => ms >= seen.startMs && ms < seen.endMs;
    const ofDevices = alerts.filter((one) => !devices.length || one.device === null || devices.includes(one.device));
    const shown = ofDevices.filter((one) => isIn(Date.parse(one.raised_at)));
    const outside = events.filter((one) => isIn(Date.parse(one.ts)) && Date.parse(one.ts) <= nowMs);
    return {
      alerts: shown,
      events: outside,
      markers: [
        ...outside.map((one): Marker => ({ ms: Date.parse(one.ts), color: "--kw-quiet", shape: "dot" })),
        ...shown.map((one): Marker => ({ ms: Date.parse(one.raised_at), color: `--kw-${one.severity}`, shape: "triangle" })),
      ],
    };
  }, [alerts, events, devices, seen, nowMs]);
}
