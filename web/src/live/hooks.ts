// The page's live feed for React: topics, newest values, the state of the connection. Values are kept outside React;
// what shows them is told at most once per frame.

import { useEffect, useEffectEvent, useSyncExternalStore } from "react";
import { chosenOrganisation, renewSession } from "~/api/client";
import { Feed, type Connection, type Message } from "./feed";
import { Newest } from "./newest";

function address(): string {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const organisation = chosenOrganisation();
  const query = organisation ? `?organisation=${encodeURIComponent(organisation)}` : "";
  return `${scheme}://${location.host}/api/v1/live${query}`;
}

export const feed = new Feed(address, renewSession);
export const newest = new Newest();

/** Calls `onMessage` for each message of a topic; null: of none. For values, which are told as they stand on joining. */
export function useTopic(topic: string | null, onMessage: (message: Message) => void, onGap?: () => void, onJoin?: () => void): void {
  const tell = useEffectEvent(onMessage);
  const tellOfGap = useEffectEvent(() => onGap?.());
  const tellOfJoin = useEffectEvent(() => onJoin?.());
  useEffect(() => {
    if (topic === null) return;
    return feed.listen({ topic, onMessage: (message) => tell(message), onGap: () => tellOfGap(), onJoin: () => tellOfJoin() });
  }, [topic]);
}

/** The same for what happens, which is told only from joining on; `renew` reads anew what may have changed untold. */
export function useEvents(topic: string | null, onMessage: (message: Message) => void, renew: () => void): void {
  useTopic(topic, onMessage, renew, renew);
}

/** Keeps the newest readings of a topic such as `devices.*` in `newest`. */
export function useReadings(topic: string | null, onGap?: () => void): void {
  useTopic(topic, (message) => newest.take(message), onGap);
}

/** The newest value of a metric of a device, number or word; undefined if none is known. */
export function useNewest(device: string, metric: string): number | string | undefined {
  return useSyncExternalStore(
    (onChange) => newest.watch(device, onChange),
    () => newest.value(device, metric),
  );
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (onChange) => feed.watch(onChange),
    () => feed.connection,
  );
}
