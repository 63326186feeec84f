// The devices of a site with what they draw now: read at most once a second from the newest values.

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { latestQuery, siteDevicesQuery, type Device } from "~/api/devices";
import { newest, useEvents, useReadings } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";
import { rolesOf, type Role } from "~/lib/role";
import type { Part } from "~/lib/balance";
import { openCountQuery } from "./queries";

/** A power that is older says nothing of now. */
const OLD_MS = 15 * 60_000;
const READ_MS = 1_000;

/** Calls `read` now, at once when the first values come, then at most once a second; at least every ten seconds. */
function useReadNow<T>(read: () => T): T {
  const [value, setValue] = useState(read);
  useEffect(() => {
    let waiting: ReturnType<typeof setTimeout> | undefined;
    let renewedMs = 0;
    const renew = () => {
      waiting = undefined;
      renewedMs = Date.now();
      setValue(read());
    };
    const soon = () => {
      waiting ??= setTimeout(renew, Math.max(0, renewedMs + READ_MS - Date.now()));
    };
    const first = setTimeout(() => setValue(read()), 0);
    const stop = newest.watch("*", soon);
    const beat = setInterval(soon, 10 * READ_MS);
    return () => {
      stop();
      clearTimeout(first);
      clearTimeout(waiting);
      clearInterval(beat);
    };
  }, [read]);
  return value;
}

/** What a device draws now; null where that is not known. */
export function powerNow(device: string): number | null {
  const value = newest.value(device, "power");
  const ms = newest.ms(device, "power");
  return typeof value === "number" && ms !== undefined && Date.now() - ms < OLD_MS ? value : null;
}

/** Brings the newest values in: once over HTTP, then live. */
export function useNewestOf(siteId: string | null): void {
  const latest = useQuery(latestQuery(siteId));
  const queries = useQueryClient();
  const renew = () => void readAnew(queries, ["latest", siteId]);
  useReadings(siteId === null ? "devices.*" : `sites.${siteId}`, renew);
  useEffect(() => {
    for (const { device, metrics } of latest.data ?? []) {
      for (const { metric, ts, value } of metrics) newest.put(device, metric, Date.parse(ts), value);
    }
  }, [latest.data]);
}

/** How many alerts are open, live; null where the reader may not see them, undefined while it is not known. */
export function useOpenAlerts(siteId: string | null, isAllowed: boolean): number | null | undefined {
  const queries = useQueryClient();
  const renew = () => void readAnew(queries, ["alerts"]);
  useEvents(isAllowed ? "alerts" : null, renew, renew);
  const { data } = useQuery({ ...openCountQuery(siteId), enabled: isAllowed });
  if (!isAllowed) return null;
  return data && (data.status.open ?? 0);
}

/** The devices of a site, their roles and what they draw now. */
export function useHome(siteId: string | null) {
  const devices = useQuery(siteDevicesQuery(siteId));
  useNewestOf(siteId);
  const roles = useMemo(() => rolesBySite(devices.data ?? []), [devices.data]);
  const read = useCallback(
    (): Part[] => (devices.data ?? []).map(({ id, name }) => ({ id, name, role: roles.get(id) ?? "load", value: powerNow(id) })),
    [devices.data, roles],
  );
  const parts = useReadNow(read);
  return { devices, roles, parts };
}

/** The role of each device; a site's devices are judged together. */
export function rolesBySite(devices: readonly Device[]): Map<string, Role> {
  const sites = new Map<string, Device[]>();
  for (const device of devices) {
    const those = sites.get(device.site_id);
    if (those) those.push(device);
    else sites.set(device.site_id, [device]);
  }
  const found = new Map<string, Role>();
  for (const those of sites.values()) {
    const roles = rolesOf(those);
    those.forEach((device, at) => found.set(device.id, roles[at] ?? "load"));
  }
  return found;
}
