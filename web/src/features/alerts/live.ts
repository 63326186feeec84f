// Alerts as they change: what is shown follows at once; lists and counts are asked for anew, but not more often than
// every few seconds, however much happens.

import { useQueryClient, type InfiniteData } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useEvents } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";
import type { Alert } from "./queries";
import { renewed } from "./state";

const PAUSE_MS = 3_000;

interface Page {
  readonly items: readonly Alert[];
}

export function useAlertsLive(): void {
  const queries = useQueryClient();
  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const renew = () => {
    if (waiting.current !== undefined) return;
    waiting.current = setTimeout(() => {
      waiting.current = undefined;
      void readAnew(queries, ["alerts"]);
    }, PAUSE_MS);
  };
  useEffect(() => () => clearTimeout(waiting.current), []);
  useEvents(
    "alerts",
    ({ data, type }) => {
      if (type !== "alert") return;
      const put = <T extends Alert>(alert: T) => (alert.id === data.id ? renewed(alert, data) : alert);
      queries.setQueriesData<InfiniteData<Page>>({ queryKey: ["alerts", "list"] }, (known) =>
        known && { ...known, pages: known.pages.map((page) => ({ ...page, items: page.items.map(put) })) },
      );
      queries.setQueriesData<Alert>({ queryKey: ["alerts", "one", data.id] }, (known) => known && put(known));
      renew();
    },
    renew,
  );
}
