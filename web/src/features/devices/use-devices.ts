// All devices of a place, the first ones at once and the others in the background, and their live values.

import { useInfiniteQuery, useQuery, useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useEffect, useMemo, useReducer, useState } from "react";
import { deviceQuery, latestQuery, type Device } from "~/api/devices";
import type { Schemas } from "~/api/client";
import { newest, useEvents, useReadings } from "~/live/hooks";
import { outrun, readAnew } from "~/live/read-anew";
import type { Message } from "~/live/feed";
import { devicePagesQuery } from "./queries";

/** What a device draws now, as far as it is known. */
export function powerOf(device: string): number | null {
  const value = newest.value(device, "power");
  return typeof value === "number" ? value : null;
}

/** When a device was heard last, milliseconds since 1970; null: never. */
export function seenOf(device: Device): number | null {
  const told = device.last_seen === null ? null : Date.parse(device.last_seen);
  const live = newest.ms(device.id, "power") ?? null;
  return live === null ? told : Math.max(live, told ?? 0);
}

/** Counts up every so many milliseconds. */
export function useTick(ms: number): number {
  const [count, add] = useReducer((before: number) => before + 1, 0);
  useEffect(() => {
    const beat = setInterval(add, ms);
    return () => clearInterval(beat);
  }, [ms]);
  return count;
}

/** The time of day, renewed every so many milliseconds. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const beat = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(beat);
  }, [ms]);
  return now;
}

export function useDevices(siteId: string | null) {
  const pages = useInfiniteQuery(devicePagesQuery(siteId));
  const { hasNextPage, isFetchingNextPage, isError, fetchNextPage } = pages;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && !isError) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, isError, fetchNextPage]);
  const data = useMemo(() => pages.data?.pages.flatMap((page) => page.items), [pages.data]);
  return { data, isWhole: !hasNextPage, error: pages.error, isPending: pages.isPending, refetch: () => void pages.refetch() };
}

/** Newest values of a place, over HTTP once and then live. */
export function useLiveDevices(siteId: string | null): void {
  const queries = useQueryClient();
  const latest = useQuery(latestQuery(siteId));
  useEffect(() => {
    for (const { device, metrics } of latest.data ?? []) {
      for (const { metric, ts, value } of metrics) newest.put(device, metric, Date.parse(ts), value);
    }
  }, [latest.data]);
  useReadings(siteId === null ? "devices.*" : `sites.${siteId}`, () => void readAnew(queries, ["latest"]));
}

/** Keeps what is shown of one device true when it is switched. */
export function useLiveDevice(id: string): void {
  const queries = useQueryClient();
  const take = (message: Message) => {
    newest.take(message);
    const { state } = message.data as { state?: Device["state"] };
    if (message.type !== "device" || !state) return;
    queries.setQueryData(deviceQuery(id).queryKey, (device: Device | undefined) => device && { ...device, state });
    queries.setQueriesData<InfiniteData<Schemas["Devices"]>>({ queryKey: ["devices", "pages"] }, (found) =>
      found && {
        ...found,
        pages: found.pages.map((page) => ({ ...page, items: page.items.map((one) => (one.id === id ? { ...one, state } : one)) })),
      },
    );
    outrun(queries, deviceQuery(id).queryKey);
  };
  useEvents(`devices.${id}`, take, () => void readAnew(queries, deviceQuery(id).queryKey));
}
