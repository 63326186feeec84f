// QR codes (ISO/IEC 18004) of up to 230 bytes: byte mode, error correction L, mask 0. Pure.

/** For each version from 1: bytes of data, bytes of correction a block, blocks. */
const VERSIONS = [
  [19, 7, 1], [34, 10, 1], [55, 15, 1], [80, 20, 1], [108, 26, 1], [136, 18, 2], [156, 20, 2], [194, 24, 2], [232, 30, 2],
] as const;
const BYTE_MODE = 4;
const FORMAT_L_MASK_0 = 0b111011111000100;
const PADDING = [0xec, 0x11];

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power += 1) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}
const times = (one: number, other: number) => (one && other ? (EXP[(LOG[one] as number) + (LOG[other] as number)] as number) : 0);

/** The remainder of the data by the generator of `count` bytes: its error correction. */
function correction(data: readonly number[], count: number): number[] {
  let generator = [1];
  for (let power = 0; power < count; power += 1) {
    const next = new Array<number>(generator.length + 1).fill(0);
    generator.forEach((value, at) => {
      next[at] = (next[at] as number) ^ value;
      next[at + 1] = (next[at + 1] as number) ^ times(value, EXP[power] as number);
    });
    generator = next;
  }
  const rest = [...data, ...new Array<number>(count).fill(0)];
  for (let at = 0; at < data.length; at += 1) {
    const factor = rest[at] as number;
    generator.forEach((value, place) => {
      rest[at + place] = (rest[at + place] as number) ^ times(value, factor);
    });
  }
  return rest.slice(data.length);
}

function bytesOf(text: Uint8Array, capacity: number): number[] {
  const bits: number[] = [];
  const write = (value: number, length: number) => {
    for (let bit = length - 1; bit >= 0; bit -= 1) bits.push((value >> bit) & 1);
  };
  write(BYTE_MODE, 4);
  write(text.length, 8);
  text.forEach((byte) => write(byte, 8));
  write(0, Math.min(4, capacity * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  const bytes = Array.from({ length: bits.length / 8 }, (_, at) => bits.slice(at * 8, at * 8 + 8).reduce((sum, bit) => sum * 2 + bit, 0));
  for (let at = 0; bytes.length < capacity; at += 1) bytes.push(PADDING[at % 2] as number);
  return bytes;
}

/** Data and correction in the order in which they are drawn: byte by byte of all blocks. */
function interleaved(bytes: readonly number[], perBlock: number, blocks: number): number[] {
  const size = bytes.length / blocks;
  const data = Array.from({ length: blocks }, (_, at) => bytes.slice(at * size, (at + 1) * size));
  const checks = data.map((block) => correction(block, perBlock));
  const across = (all: readonly number[][]) => (all[0] ?? []).flatMap((_, at) => all.map((block) => block[at] as number));
  return [...across(data), ...across(checks)];
}

type Grid = (boolean | null)[][];

function drawSquare(grid: Grid, row: number, column: number, rings: readonly boolean[]): void {
  const reach = rings.length - 1;
  for (let down = -reach; down <= reach; down += 1) {
    for (let right = -reach; right <= reach; right += 1) {
      const line = grid[row + down];
      if (line && line[column + right] !== undefined) line[column + right] = rings[Math.max(Math.abs(down), Math.abs(right))] as boolean;
    }
  }
}

type Put = (row: number, column: number, isDark: boolean) => void;

function drawFrame(grid: Grid, version: number): void {
  const size = grid.length;
  const put: Put = (row, column, isDark) => ((grid[row] as (boolean | null)[])[column] = isDark);
  for (let at = 8; at < size - 8; at += 1) {
    put(6, at, at % 2 === 0);
    put(at, 6, at % 2 === 0);
  }
  drawAlignment(grid, version);
  const finder = [true, true, false, true, false];
  for (const [row, column] of [[3, 3], [3, size - 4], [size - 4, 3]] as const) drawSquare(grid, row, column, finder);
  drawFormat(put, size);
  if (version >= 7) drawVersion(version, put, size);
}

function drawAlignment(grid: Grid, version: number): void {
  if (version === 1) return;
  const last = grid.length - 7;
  const middles = version >= 7 ? [6, (6 + last) / 2, last] : [6, last];
  for (const row of middles) {
    for (const column of middles) {
      const isFinder = row + column === 12 || (row + column === 6 + last && Math.abs(row - column) === last - 6);
      if (!isFinder) drawSquare(grid, row, column, [true, false, true]);
    }
  }
}

function drawFormat(put: Put, size: number): void {
  for (let bit = 0; bit < 15; bit += 1) {
    const isDark = ((FORMAT_L_MASK_0 >> bit) & 1) === 1;
    put(bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit, 8, isDark);
    put(8, bit < 8 ? size - 1 - bit : bit < 9 ? 7 : 14 - bit, isDark);
  }
  put(size - 8, 8, true);
}

function drawVersion(version: number, put: Put, size: number): void {
  let rest = version;
  for (let bit = 0; bit < 12; bit += 1) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let bit = 0; bit < 18; bit += 1) {
    const isDark = ((bits >> bit) & 1) === 1;
    const [far, near] = [size - 11 + (bit % 3), Math.floor(bit / 3)];
    put(near, far, isDark);
    put(far, near, isDark);
  }
}

function drawData(grid: Grid, bytes: readonly number[]): void {
  const size = grid.length;
  let bit = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    const pair = right <= 6 ? right - 1 : right;
    const isUp = ((size - 1 - right) / 2) % 2 === 0;
    for (let step = 0; step < size; step += 1) {
      const row = isUp ? size - 1 - step : step;
      for (const column of [pair, pair - 1]) {
        const line = grid[row] as (boolean | null)[];
        if (line[column] !== null) continue;
        const isSet = (((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
        line[column] = isSet !== ((row + column) % 2 === 0);
        bit += 1;
      }
    }
  }
}

/** The squares of a QR code, true where dark; null where the text is too long. */
export function drawQr(text: string): boolean[][] | null {
  const encoded = new TextEncoder().encode(text);
  const at = VERSIONS.findIndex(([capacity]) => encoded.length + 2 <= capacity);
  const found = VERSIONS[at];
  if (!found) return null;
  const [capacity, perBlock, blocks] = found;
  const size = 21 + 4 * at;
  const grid: Grid = Array.from({ length: size }, () => new Array<boolean | null>(size).fill(null));
  drawFrame(grid, at + 1);
  drawData(grid, interleaved(bytesOf(encoded, capacity), perBlock, blocks));
  return grid as boolean[][];
}
