// Stored readings of one metric of a device over a span, as columns for a chart.

import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "./client";

export interface Stored {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly unit: string;
  readonly coverage: number;
}

interface Wanted {
  readonly device: string;
  readonly metric: string;
  readonly startMs: number;
  readonly endMs: number;
}

const POINTS = 1_500;

export const storedQuery = ({ device, metric, startMs, endMs }: Wanted) =>
  queryOptions({
    queryKey: ["stored", device, metric, startMs, endMs],
    queryFn: async (): Promise<Stored> => {
      const found = (await ask(
        api.GET("/api/v1/devices/{device_id}/readings", {
          params: {
            path: { device_id: device },
            query: {
              start: new Date(startMs).toISOString(), end: new Date(endMs).toISOString(), metrics: metric, limit_points: POINTS,
            },
          },
        }),
      )) as Schemas["Readings"];
      const series = found.series[0];
      const points = (series?.points ?? []) as [string, number | null][];
      return {
        times: points.map(([at]) => Date.parse(at) / 1_000),
        values: points.map(([, value]) => (typeof value === "number" ? value : null)),
        unit: series?.unit ?? "",
        coverage: series?.coverage ?? 0,
      };
    },
    staleTime: 30_000,
  });
