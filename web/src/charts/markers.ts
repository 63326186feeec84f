// Marks on the time axis: a thin line through the chart and a sign at its top, by kind.

import type uPlot from "uplot";
import { colorOf } from "./look";

export interface Marker {
  readonly ms: number;
  /** A colour variable such as "--kw-critical". */
  readonly color: string;
  readonly shape: "triangle" | "dot";
}

const SIGN = 5;
/** With more than so many marks their lines end at their signs: a curtain of lines would hide what is drawn. */
const MOST_LINES = 12;

function drawSign(ctx: CanvasRenderingContext2D, shape: Marker["shape"], x: number, y: number, size: number): void {
  ctx.beginPath();
  if (shape === "dot") ctx.arc(x, y + size, size, 0, 2 * Math.PI);
  else {
    ctx.moveTo(x, y);
    ctx.lineTo(x + size, y + 2 * size);
    ctx.lineTo(x - size, y + 2 * size);
  }
  ctx.fill();
}

export function marking(markers: readonly Marker[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        const ratio = devicePixelRatio;
        ctx.save();
        ctx.lineWidth = ratio;
        ctx.setLineDash([2 * ratio, 3 * ratio]);
        const length = markers.length > MOST_LINES ? 4 * SIGN * ratio : bbox.height;
        for (const { ms, color, shape } of markers) {
          const x = Math.round(plot.valToPos(ms / 1_000, "x", true));
          if (x < bbox.left || x > bbox.left + bbox.width) continue;
          ctx.strokeStyle = ctx.fillStyle = colorOf(color);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + length);
          ctx.stroke();
          drawSign(ctx, shape, x, bbox.top, SIGN * ratio);
        }
        ctx.restore();
      },
    },
  };
}
