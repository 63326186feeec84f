// Amounts on top of each other: what is positive upwards, what is negative downwards. Pure.

export type Amounts = readonly (number | null)[];

/** One piece of a bar: from its lower to its upper value. */
export interface Piece {
  readonly of: number;
  readonly bucket: number;
  readonly low: number;
  readonly high: number;
}

/** The pieces of all bars; rows: one per series, with an amount or null for each bucket. */
export function stack(rows: readonly Amounts[]): Piece[] {
  const pieces: Piece[] = [];
  const buckets = Math.max(0, ...rows.map((row) => row.length));
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    let up = 0;
    let down = 0;
    rows.forEach((row, of) => {
      const amount = row[bucket];
      if (!amount) return;
      const from = amount > 0 ? up : down;
      if (amount > 0) up += amount;
      else down += amount;
      pieces.push({ of, bucket, low: Math.min(from, from + amount), high: Math.max(from, from + amount) });
    });
  }
  return pieces;
}

/** The lowest and the highest value that bars reach; [0, 0] without any. */
export function reach(pieces: readonly Piece[]): [number, number] {
  let low = 0;
  let high = 0;
  for (const piece of pieces) {
    low = Math.min(low, piece.low);
    high = Math.max(high, piece.high);
  }
  return [low, high];
}

/** The bucket that has a time; edges: the starts of all and the end of the last. -1: none has. */
export function bucketAt(edges: ArrayLike<number>, time: number): number {
  let from = 0;
  let to = edges.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((edges[middle] as number) <= time) from = middle + 1;
    else to = middle;
  }
  return from >= edges.length ? -1 : from - 1;
}
