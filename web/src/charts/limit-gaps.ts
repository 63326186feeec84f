// Lines that break where readings are missing. Pure.

const BREAK = 3;

/** The same series with an empty value in each gap of more than three usual steps, so that no line is drawn across it. */
export function breakAtGaps(
  times: readonly number[], values: readonly (number | null)[],
): [times: number[], values: (number | null)[]] {
  const steps = times.slice(1).map((at, row) => at - (times[row] ?? at)).sort((one, other) => one - other);
  const longest = (steps[steps.length >> 1] ?? Infinity) * BREAK;
  const at: number[] = [];
  const value: (number | null)[] = [];
  times.forEach((time, row) => {
    const before = times[row - 1];
    if (before !== undefined && time - before > longest) {
      at.push((time + before) / 2);
      value.push(null);
    }
    at.push(time);
    value.push(values[row] ?? null);
  });
  return [at, value];
}
