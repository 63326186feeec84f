// Colours and axes of charts, taken from the page's look at the moment of drawing.

import type uPlot from "uplot";
import { chooseScale, showIn, showNumber } from "~/lib/units";
import { showClock, showDay, wallMs } from "~/lib/time";

const colors = new Map<string, string>();

/** The value of a colour variable such as "--kw-solar", asked for once in each look: live charts need it many times a
second. */
export function colorOf(name: string): string {
  const { look = "", mantineColorScheme = "" } = document.documentElement.dataset;
  const key = `${look} ${mantineColorScheme} ${name}`;
  let color = colors.get(key);
  if (color === undefined) {
    color = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    if (color) colors.set(key, color);
  }
  return color || "#888";
}

const AXIS: Partial<uPlot.Axis> = {
  stroke: () => colorOf("--kw-quiet"),
  grid: { stroke: () => colorOf("--kw-grid"), width: 1 },
  ticks: { stroke: () => colorOf("--kw-grid"), width: 1 },
  font: "12px system-ui, sans-serif",
};

/** The time axis in a site's zone: clock times, and the day where a day begins. */
export function timeAxis(zone: string, locale: string): uPlot.Axis {
  return {
    ...AXIS,
    values: (_plot, splits, _axis, _space, increment) =>
      splits.map((seconds) => {
        const ms = seconds * 1_000;
        const isMidnight = wallMs(ms, zone) % 86_400_000 === 0;
        return increment >= 86_400 || isMidnight ? showDay(ms, zone, locale).replace(/[, ]*\b\d{4}$/, "") : showClock(ms, zone, locale, increment < 60);
      }),
  };
}

/** A value axis in the best unit for what is visible. unit: of the values. */
export function valueAxis(unit: string, locale: string): uPlot.Axis {
  return {
    ...AXIS,
    size: 74,
    values: (_plot, splits) => {
      const largest = Math.max(...splits.map(Math.abs));
      const scale = chooseScale(unit, largest);
      return splits.map((value, at) => (at === splits.length - 1 ? showIn(value, scale, locale) : showNumber(value, scale, locale)));
    },
  };
}
