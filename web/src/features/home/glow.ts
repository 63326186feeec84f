// How bright a device glows. Pure.

const FULL_W = 3_000;
const LEAST_W = 1;

/** 0 to 1: as the eye sees it, so that a lamp shows beside a heat pump. ratedW: at which it is brightest. */
export function glowOf(watts: number | null, ratedW: number | null): number {
  if (watts === null || Math.abs(watts) < LEAST_W) return 0;
  const full = Math.max(ratedW ?? FULL_W, 100);
  return Math.round(Math.min(1, Math.sqrt(Math.abs(watts) / full)) * 100) / 100;
}
