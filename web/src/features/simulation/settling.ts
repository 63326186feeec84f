// How a scenario fades: the share of its force that is left. Pure.

export type Curve = "linear" | "exponential" | "immediate";

/** What is left after a part (0 to 1) of the settling time; an exponential one has five half-lives. */
export function leftOf(curve: Curve, part: number): number {
  if (part <= 0) return 1;
  if (part >= 1 || curve === "immediate") return 0;
  return curve === "linear" ? 1 - part : 2 ** (-5 * part);
}

/** The points of a drawing of active, then settling; x and y from 0 to 1. share: of the whole that is active. */
export function outline(curve: Curve, share: number, points = 40): readonly (readonly [number, number])[] {
  const fading = Array.from({ length: points + 1 }, (_, at): readonly [number, number] => {
    const part = at / points;
    return [share + (1 - share) * part, leftOf(curve, part)];
  });
  return [[0, 1], [share, 1], ...fading];
}
