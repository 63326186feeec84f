// A box at the cursor that says the values there. Written straight into the page, so that no pointer move passes React.

import type uPlot from "uplot";
import classes from "./charts.module.css";

export interface TipRow {
  readonly label: string;
  readonly text: string;
  /** A colour variable. */
  readonly color: string;
}

type Tell = (plot: uPlot) => { heading: string; rows: readonly TipRow[] } | null;

function rowOf({ label, text, color }: TipRow): HTMLElement {
  const row = document.createElement("div");
  row.className = classes.tipRow ?? "";
  const sign = document.createElement("span");
  sign.className = classes.sign ?? "";
  sign.style.background = `var(${color})`;
  const name = document.createElement("span");
  name.textContent = label;
  const value = document.createElement("strong");
  value.textContent = text;
  row.append(sign, name, value);
  return row;
}

export function tips(tell: Tell): uPlot.Plugin {
  const box = document.createElement("div");
  box.className = classes.tip ?? "";
  box.hidden = true;
  box.setAttribute("aria-hidden", "true");

  const show = (plot: uPlot) => {
    const { left = -1 } = plot.cursor;
    const said = left < 0 ? null : tell(plot);
    box.hidden = said === null;
    if (!said) return;
    const heading = document.createElement("div");
    heading.textContent = said.heading;
    box.replaceChildren(heading, ...said.rows.map(rowOf));
    const isRight = left > plot.over.clientWidth / 2;
    box.style.left = isRight ? "auto" : `${left + 12}px`;
    box.style.right = isRight ? `${plot.over.clientWidth - left + 12}px` : "auto";
  };
  return { hooks: { init: (plot) => void plot.over.append(box), setCursor: show } };
}
