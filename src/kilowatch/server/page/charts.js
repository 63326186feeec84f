// uPlot charts that follow the colour scheme and the width of their place. Knows no device and no API.

const BAR_SHARE = 0.85;
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Draws columns [seconds, values] into `place`; drawn at most once per animation frame. */
export class Chart {
  /**
   * @param place an element with role="img"
   * @param onZoom called with [from, to] in seconds when a span was dragged; without it dragging does nothing
   * @param onReset called on a double click
   */
  constructor(place, { onZoom = null, onReset = null, height = 250 } = {}) {
    this.place = place;
    this.onZoom = onZoom;
    this.onReset = onReset;
    this.height = height;
    this.picture = null;
    this.due = false;
    this.look = null;
    new ResizeObserver(() => this.resize()).observe(place);
    dark.addEventListener("change", () => this.rebuild());
    if (onReset) place.addEventListener("dblclick", onReset);
  }

  /** What is drawn next: columns, shown span in seconds, time zone, how values are said, line, steps or bars. */
  draw(picture) {
    this.picture = picture;
    if (!this.due) {
      this.due = true;
      requestAnimationFrame(() => {
        this.due = false;
        this.paint();
      });
    }
  }

  clear() {
    this.picture = null;
    this.plot?.destroy();
    this.plot = null;
    this.place.setAttribute("aria-label", "Chart, empty");
  }

  paint() {
    const picture = this.picture;
    if (!picture || !this.place.clientWidth) return;
    const look = `${picture.form} ${picture.zone} ${picture.scale.unit} ${picture.scale.factor}`;
    if (!this.plot || look !== this.look) {
      this.look = look;
      this.plot?.destroy();
      this.plot = new window.uPlot(this.options(picture), picture.columns, this.place);
    }
    this.plot.batch(() => {
      this.plot.setData(picture.columns, false);
      this.plot.setScale("x", { min: picture.span[0], max: picture.span[1] });
    });
    this.place.setAttribute("aria-label", picture.label);
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    this.paint();
  }

  resize() {
    if (this.plot && this.place.clientWidth) {
      this.plot.setSize({ width: this.place.clientWidth, height: this.height });
    } else {
      this.paint();
    }
  }

  options(picture) {
    const { uPlot } = window;
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { stroke: colour("--grid"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    return {
      width: this.place.clientWidth,
      height: this.height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), picture.zone),
      legend: { show: false },
      cursor: {
        drag: { x: Boolean(this.onZoom), y: false, setScale: false },
        points: { show: picture.form !== "bars" },
        bind: { dblclick: () => null },
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => rangeOf(low, high, picture.form) } },
      axes: [
        { ...axis, space: 72, values: clockValues(uPlot, picture.zone) },
        { ...axis, size: widthOf, values: (_, ticks) => ticks.map((tick) => this.picture.tick(tick)) },
      ],
      series: [{}, this.series(uPlot, picture.form)],
      hooks: { setSelect: [(plot) => this.selected(plot)], setCursor: [(plot) => this.point(plot)] },
    };
  }

  series(uPlot, form) {
    const paths = {
      bars: uPlot.paths.bars({ size: [BAR_SHARE, Infinity], align: 1 }),
      steps: uPlot.paths.stepped({ align: 1 }),
      line: uPlot.paths.linear(),
    };
    return {
      stroke: colour("--accent"),
      fill: form === "bars" ? colour("--accent") : colour("--fill"),
      width: form === "bars" ? 0 : 1.6,
      points: { show: form === "bars" ? false : undefined, size: 4 },
      paths: paths[form],
      spanGaps: false,
    };
  }

  selected(plot) {
    if (!this.onZoom || plot.select.width < 4) return;
    const from = plot.posToVal(plot.select.left, "x");
    const to = plot.posToVal(plot.select.left + plot.select.width, "x");
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onZoom(from, to);
  }

  /** The small text beside the pointer. */
  point(plot) {
    let tip = plot.over.querySelector(".tip");
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "tip";
      plot.over.append(tip);
    }
    const row = plot.cursor.idx;
    const value = row === null || row === undefined ? null : plot.data[1][row];
    tip.hidden = value === null || value === undefined || plot.cursor.left < 0;
    if (tip.hidden) return;
    tip.textContent = this.picture.say(plot.data[0][row], value);
    const free = plot.over.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(free, plot.cursor.left + 10))}px`;
    tip.style.top = `${Math.max(0, plot.cursor.top - 34)}px`;
  }
}

/** Room for the longest of the axis' texts. */
function widthOf(_, texts) {
  return 20 + 7.8 * Math.max(4, ...(texts ?? []).map((text) => text.length));
}

/** The vertical range: zero belongs to it where amounts or loads start there; never without height. */
function rangeOf(low, high, form) {
  if (low === null || high === null) return [0, 1];
  const near = form === "bars" || (low >= 0 && low < high * 0.6);
  const from = near ? Math.min(0, low) : low;
  const to = near ? Math.max(0, high) : high;
  const room = (to - from || Math.abs(to) || 1) * 0.08;
  return [near && from === 0 ? 0 : from - room, to + room];
}

/** Times on the axis with 24 hours and the day before the month. */
function clockValues(uPlot, zone) {
  const format = (template) => uPlot.fmtDate(template);
  const [second, minute, day, month, year] = ["{HH}:{mm}:{ss}", "{HH}:{mm}", "{D} {MMM}", "{MMM}", "{YYYY}"].map(format);
  return (_, ticks, _axis, _space, step) => {
    const at = ticks.map((tick) => uPlot.tzDate(new Date(tick * 1000), zone));
    return at.map((date, row) => {
      if (step < 60) return second(date);
      if (step < 86_400) {
        const newDay = row === 0 || date.getDate() !== at[row - 1].getDate();
        return newDay ? `${minute(date)}\n${day(date)}` : minute(date);
      }
      if (step < 28 * 86_400) return day(date);
      const newYear = row === 0 || date.getFullYear() !== at[row - 1].getFullYear();
      return newYear ? `${month(date)}\n${year(date)}` : month(date);
    });
  };
}

/** Columns with a null wherever readings are missing. `step` in seconds, or null where steps are uneven. */
export function withGaps(points, step) {
  const seconds = [];
  const values = [];
  const gap = (row) => points[row][0] - points[row - 1][0];
  points.forEach(([at, value], row) => {
    if (row > 0) {
      const usual = step ?? Math.max(row > 1 ? gap(row - 1) : 0, row + 1 < points.length ? gap(row + 1) : 0, 60);
      if (gap(row) > 1.75 * usual) {
        seconds.push(points[row - 1][0] + usual);
        values.push(null);
      }
    }
    seconds.push(at);
    values.push(value);
  });
  return [seconds, values];
}
