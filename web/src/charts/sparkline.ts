// The path of a small line without axes. Pure.

/** An SVG path through values spread evenly over a box, the lowest at its foot; null breaks the line. */
export function sparkPath(values: readonly (number | null)[], width: number, height: number): string {
  const known = values.filter((value) => value !== null);
  if (!known.length) return "";
  const low = Math.min(...known);
  const wide = Math.max(...known) - low;
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let isDrawing = false;
  return values
    .flatMap((value, at) => {
      if (value === null) {
        isDrawing = false;
        return [];
      }
      const word = isDrawing ? "L" : "M";
      isDrawing = true;
      const y = wide ? height - ((value - low) / wide) * height : height / 2;
      return [`${word}${(at * step).toFixed(1)} ${y.toFixed(1)}`];
    })
    .join("");
}
