// The newest values of one series in columns, for charts that draw them as they are. No React, no copies per value.

/** Values in the order of their times (seconds since 1970). */
export class Ring {
  private readonly ts: Float64Array;
  private readonly value: Float64Array;
  private size = 0;

  constructor(private readonly most = 1_200) {
    this.ts = new Float64Array(most);
    this.value = new Float64Array(most);
  }

  get length(): number {
    return this.size;
  }

  /** The newest value and its time, or null. */
  get newest(): { seconds: number; value: number } | null {
    if (!this.size) return null;
    return { seconds: this.ts[this.size - 1] as number, value: this.value[this.size - 1] as number };
  }

  /** Adds a value that is newer than all others; whether it was. */
  push(seconds: number, value: number): boolean {
    if (this.size && seconds <= (this.ts[this.size - 1] as number)) return false;
    if (this.size === this.most) {
      const kept = this.most >> 1;
      this.ts.copyWithin(0, this.most - kept);
      this.value.copyWithin(0, this.most - kept);
      this.size = kept;
    }
    this.ts[this.size] = seconds;
    this.value[this.size] = value;
    this.size += 1;
    return true;
  }

  /** Puts older values, in the order of their times, before those that are there; what does not fit is left out. */
  precede(points: readonly (readonly [seconds: number, value: number])[]): void {
    const first = this.size ? (this.ts[0] as number) : Infinity;
    const room = this.most - this.size;
    const older = room ? points.filter(([seconds]) => seconds < first).slice(-room) : [];
    this.ts.copyWithin(older.length, 0, this.size);
    this.value.copyWithin(older.length, 0, this.size);
    older.forEach(([seconds, value], row) => {
      this.ts[row] = seconds;
      this.value[row] = value;
    });
    this.size += older.length;
  }

  /** The columns from a time on: views, true until the next push. */
  since(seconds: number): [Float64Array, Float64Array] {
    let from = 0;
    let to = this.size;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.ts[middle] as number) < seconds) from = middle + 1;
      else to = middle;
    }
    return [this.ts.subarray(from, this.size), this.value.subarray(from, this.size)];
  }
}
