// The small chart of a stream: a day on the scale from 0 to 100, with the band of what is usual.

import { colorOf } from "~/charts/look";
import type { Point } from "./pulse";

/** As it is laid out, CSS pixels; the canvas has twice as many. */
export const WIDTH = 160;
export const HEIGHT = 44;

const USUAL = [30, 70] as const;
const ROOM = 6;

const heightOf = (level: number) => HEIGHT * 2 - ROOM - (level / 100) * (HEIGHT * 2 - 2 * ROOM);

/** Draws a line through the points and a dot on the newest one; only the scale where there are none. */
export function drawTile(canvas: HTMLCanvasElement | null, points: readonly Point[], color: string): void {
  const pen = canvas?.getContext("2d");
  if (!pen) return;
  const width = WIDTH * 2 - ROOM;
  pen.clearRect(0, 0, WIDTH * 2, HEIGHT * 2);
  pen.fillStyle = colorOf("--kw-grid");
  pen.globalAlpha = 0.5;
  pen.fillRect(0, heightOf(USUAL[1]), WIDTH * 2, heightOf(USUAL[0]) - heightOf(USUAL[1]));
  pen.globalAlpha = 1;
  const [first, last] = [points[0], points[points.length - 1]];
  if (!first || !last) return;
  const span = Math.max(last[0] - first[0], 1);
  const place = ([seconds, level]: Point) => [((seconds - first[0]) / span) * width, heightOf(level)] as const;
  pen.strokeStyle = pen.fillStyle = colorOf(color);
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.beginPath();
  points.forEach((point) => pen.lineTo(...place(point)));
  pen.stroke();
  pen.beginPath();
  pen.arc(...(points.length > 1 ? place(last) : ([width, heightOf(last[1])] as const)), ROOM - 1, 0, 2 * Math.PI);
  pen.fill();
}
