// A small line that says how something went, beside its number.

import { sparkPath } from "./sparkline";

interface SparkProps {
  readonly values: readonly (number | null)[];
  /** A colour variable. */
  readonly color: string;
  /** What it shows, in a sentence; without it the line is for the eye alone. */
  readonly label?: string;
  readonly width?: number;
  readonly height?: number;
}

export function Spark({ values, color, label, width = 96, height = 24 }: SparkProps) {
  const name = label ? { role: "img", "aria-label": label } : { "aria-hidden": true };
  return (
    <svg width={width} height={height} viewBox={`-1 -1 ${width + 2} ${height + 2}`} {...name}>
      <path d={sparkPath(values, width, height)} fill="none" stroke={`var(${color})`} strokeWidth={1.5} strokeLinejoin="round" />
    </svg>
  );
}
