// The time zone in which moments are shown.

import { useSite } from "./place";

/** Gives the zone of a site; without one, or where it is not known, of the chosen site, the first one, or this browser. */
export function useZone(): (siteId?: string | null) => string {
  const { site, sites } = useSite();
  const otherwise = site?.time_zone ?? sites[0]?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (siteId) => sites.find((one) => one.id === siteId)?.time_zone ?? otherwise;
}
