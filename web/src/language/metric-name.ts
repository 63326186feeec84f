// A metric's name for people: in their language where it is one of the catalogue's.

import { showMetric } from "~/lib/units";

const PHASE = /^(.+)_(l[123])$/;

/** t: any, with the words of `metrics` loaded. */
export function metricName(metric: string, t: (key: string, options: { defaultValue: string }) => string): string {
  const known = t(`metrics:${metric}`, { defaultValue: "" });
  const [, whole, phase] = PHASE.exec(metric) ?? [];
  if (known || !whole || !phase) return known || showMetric(metric);
  return `${metricName(whole, t)} ${phase.toUpperCase()}`;
}
