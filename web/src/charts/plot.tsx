// A chart of times and values: uPlot on a canvas, redrawn in place, with a name for those who cannot see it.
// Keeps true that data goes to the canvas as columns, never through React.

import { useEffect, useEffectEvent, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface PlotProps {
  /** All but size and hooks of a chart; made anew when it changes, so keep it (useMemo). */
  readonly options: Omit<uPlot.Options, "width" | "height">;
  readonly data: uPlot.AlignedData;
  readonly height: number;
  /** What the chart shows and says, in a sentence. */
  readonly label: string;
  /** Called with the chart when it is there, and with null when it goes. */
  readonly onPlot?: (plot: uPlot | null) => void;
}

export function Plot({ options, data, height, label, onPlot }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const first = useEffectEvent(() => data);
  const tell = useEffectEvent((made: uPlot | null) => onPlot?.(made));
  const high = useEffectEvent(() => height);

  useEffect(() => {
    const node = place.current;
    if (!node) return;
    const made = new uPlot({ ...options, width: node.clientWidth || 300, height: high() }, first(), node);
    plot.current = made;
    tell(made);
    const watcher = new ResizeObserver(() => made.setSize({ width: node.clientWidth || 300, height: high() }));
    watcher.observe(node);
    const ofLook = new MutationObserver(() => made.redraw(false, true));
    ofLook.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme", "data-look"] });
    return () => {
      watcher.disconnect();
      ofLook.disconnect();
      plot.current = null;
      tell(null);
      made.destroy();
    };
  }, [options]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={place} role="img" aria-label={label} style={{ height, width: "100%" }} />;
}
