// Amounts by bucket as stacked bars over time. A bar is as wide as its bucket lasts, so days of 23 and of 25 hours and
// months are drawn as long as they are; what it is compared with stands beside it, fainter.

import { useMemo } from "react";
import type uPlot from "uplot";
import { frameOptions, type ChartFrame } from "./frame";
import type { Part } from "./hatching";
import { colorOf } from "./look";
import { Plot } from "./plot";
import { rangeFromZero } from "./scale";
import { bucketAt, reach, stack, type Amounts, type Piece } from "./stack";
import type { TipRow } from "./tips";

export interface BarSeries {
  readonly label: string;
  /** A colour variable. */
  readonly color: string;
  readonly amounts: Amounts;
  /** Of what is compared, by the same buckets. */
  readonly compared?: Amounts;
}

/** Keep what is not a text or number (useMemo, useCallback): the chart is made anew when it changes. */
interface BarChartProps {
  readonly frame: ChartFrame;
  /** The starts of all buckets and the end of the last, milliseconds. */
  readonly edges: readonly number[];
  readonly series: readonly BarSeries[];
  readonly height: number;
  readonly label: string;
  /** What the tip says of a bucket. */
  readonly tip: (bucket: number) => { heading: string; rows: readonly TipRow[] };
  readonly onZoom: (part: Part) => void;
  readonly onReset: () => void;
}

const FADED = 0.45;

interface Layer {
  readonly pieces: readonly Piece[];
  /** The part of a bucket's width that it takes. */
  readonly from: number;
  readonly to: number;
  readonly alpha: number;
}

function layersOf(series: readonly BarSeries[]): Layer[] {
  const isCompared = series.some((one) => one.compared);
  const now = stack(series.map((one) => one.amounts));
  if (!isCompared) return [{ pieces: now, from: 0.08, to: 0.92, alpha: 1 }];
  const before = stack(series.map((one) => one.compared ?? []));
  return [
    { pieces: now, from: 0.06, to: 0.56, alpha: 1 },
    { pieces: before, from: 0.6, to: 0.94, alpha: FADED },
  ];
}

function drawLayer(plot: uPlot, layer: Layer, edges: readonly number[], colors: readonly string[]): void {
  const { ctx } = plot;
  ctx.globalAlpha = layer.alpha;
  for (const { of, bucket, low, high } of layer.pieces) {
    const left = plot.valToPos((edges[bucket] as number) / 1_000, "x", true);
    const wide = plot.valToPos((edges[bucket + 1] as number) / 1_000, "x", true) - left;
    const top = plot.valToPos(high, "y", true);
    const x = left + wide * layer.from;
    ctx.fillStyle = colors[of] as string;
    ctx.fillRect(x, top, Math.max(1, wide * (layer.to - layer.from)), Math.max(0.5, plot.valToPos(low, "y", true) - top));
  }
}

/** Draws all bars at once; the chart's own series have no path. */
function bars(layers: readonly Layer[], edges: readonly number[], series: readonly BarSeries[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        const colors = series.map((one) => colorOf(one.color));
        for (const layer of layers) drawLayer(plot, layer, edges, colors);
        ctx.restore();
      },
    },
  };
}

export function BarChart({ frame, edges, series, height, label, tip, onZoom, onReset }: BarChartProps) {
  const options = useMemo((): Omit<uPlot.Options, "width" | "height"> => {
    const layers = layersOf(series);
    const [low, high] = reach(layers.flatMap((layer) => layer.pieces));
    const common = frameOptions(frame, {
      onZoom,
      onReset,
      tip: (plot) => {
        const bucket = bucketAt(edges, plot.posToVal(plot.cursor.left ?? 0, "x") * 1_000);
        return bucket < 0 ? null : tip(bucket);
      },
    }, () => rangeFromZero(low, high));
    return {
      ...common,
      plugins: [bars(layers, edges, series), ...(common.plugins ?? [])],
      series: [{}, { paths: () => null, points: { show: false } }],
    };
  }, [frame, edges, series, tip, onZoom, onReset]);

  const data = useMemo((): uPlot.AlignedData => {
    const times = edges.slice(0, -1).map((ms) => ms / 1_000);
    return [times, times.map(() => null)];
  }, [edges]);

  return <Plot options={options} data={data} height={height} label={label} />;
}
