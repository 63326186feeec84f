// Hatches what is not known, behind everything else: missing is never drawn as zero.

import type uPlot from "uplot";
import { colorOf } from "./look";

export interface Part {
  readonly startMs: number;
  readonly endMs: number;
}

const SIZE = 8;

function hatch(context: CanvasRenderingContext2D): CanvasPattern | string {
  const tile = document.createElement("canvas");
  tile.width = tile.height = SIZE;
  const pen = tile.getContext("2d");
  if (!pen) return "transparent";
  pen.strokeStyle = colorOf("--kw-hatch");
  pen.lineWidth = 2;
  pen.beginPath();
  for (const from of [-SIZE, 0, SIZE]) {
    pen.moveTo(from, SIZE);
    pen.lineTo(from + SIZE, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat") ?? "transparent";
}

export function hatching(parts: readonly Part[]): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (plot) => {
        if (!parts.length) return;
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        ctx.fillStyle = hatch(ctx);
        for (const { startMs, endMs } of parts) {
          const left = plot.valToPos(startMs / 1_000, "x", true);
          const right = plot.valToPos(endMs / 1_000, "x", true);
          ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height);
        }
        ctx.restore();
      },
    },
  };
}
