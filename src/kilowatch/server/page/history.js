// The history chart: a span, a metric, and what the server says about both. Every change of the span asks again.

import { ask, read, sentence, withQuery } from "./api.js";
import { Chart, withGaps } from "./charts.js";
import { chooseUnit, showIn, showMetric, showShare, showTime } from "./format.js";

const HOUR = 3600;
const DAY = 24 * HOUR;
const PRESETS = [["24 h", DAY], ["7 d", 7 * DAY], ["30 d", 30 * DAY], ["1 y", 365 * DAY], ["All", null]];
const STEP = { "1m": 60, "15m": 900, "1h": HOUR, "1d": DAY };
const POINTS = 1000;
const LONGEST = 3650 * DAY;
const SHORTEST = 120;
const TABLE_ROWS = 300;
const ENERGY = "energy_wh";

const $ = (id) => document.getElementById(id);

export class History {
  constructor({ onView }) {
    this.onView = onView;
    this.chart = new Chart($("history-chart"), {
      onZoom: (from, to) => this.look(from, to),
      onReset: () => this.preset(this.lastPreset),
    });
    this.entry = null;
    this.lastPreset = "7 d";
    this.span = null;
    $("metric").addEventListener("change", () => this.load());
    $("history-details").addEventListener("toggle", () => this.fillTable());
    $("csv").addEventListener("click", () => this.download());
    for (const [id, from, to] of [["earlier", -1, -1], ["later", 1, 1], ["zoom-in", 0.25, -0.25], ["zoom-out", -0.5, 0.5]]) {
      $(id).addEventListener("click", () => this.move(from, to));
    }
    this.presets = PRESETS.map(([name]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => this.preset(name));
      $("presets").append(button);
      return button;
    });
  }

  /** Shows another device, at the same span. */
  open(entry, zone, metric, range) {
    this.entry = entry;
    this.zone = zone;
    this.wanted = metric;
    this.offerMetrics();
    if (range && PRESETS.some(([name]) => name === range)) this.preset(range);
    else if (this.span && !this.current) this.load();
    else this.preset(this.current ?? this.lastPreset);
  }

  offerMetrics() {
    const names = [...this.entry.metrics.keys()].sort();
    const chosen = this.wanted ?? $("metric").value;
    $("metric").replaceChildren(...[ENERGY, ...names].map((name) => new Option(showMetric(name) + (name === "energy" ? " (register)" : ""), name)));
    $("metric").value = [ENERGY, ...names].includes(chosen) ? chosen : names.includes("power") ? "power" : ENERGY;
    this.wanted = null;
  }

  preset(name) {
    const [, length] = PRESETS.find(([one]) => one === name);
    const now = Date.now() / 1000;
    this.lastPreset = this.current = name;
    this.span = [now - (length ?? LONGEST), now];
    this.load();
  }

  look(from, to) {
    const now = Date.now() / 1000;
    const length = Math.min(Math.max(to - from, SHORTEST), LONGEST);
    const end = Math.min((from + to + length) / 2, now);
    this.current = null;
    this.span = [end - length, end];
    this.load();
  }

  /** Moves the ends by shares of the span. */
  move(from, to) {
    if (!this.shown) return;
    const [start, end] = this.shown;
    this.look(start + from * (end - start), end + to * (end - start));
  }

  /** Reads again what is shown, when the span ends now. */
  refresh() {
    if (this.current && this.entry && document.visibilityState === "visible") {
      const moved = Date.now() / 1000 - this.span[1];
      this.span = this.span.map((end) => end + moved);
      this.load(true);
    }
  }

  query() {
    const [start, end] = this.span;
    const metric = $("metric").value;
    const query = {
      start: new Date(start * 1000).toISOString(),
      end: new Date(end * 1000).toISOString(),
      metrics: metric,
      limit_points: POINTS,
    };
    if (metric === ENERGY) query.resolution = energyStep(start, end);
    return withQuery(`/devices/${this.entry.device.id}/readings`, query);
  }

  async load(quietly = false) {
    if (!this.entry) return;
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    this.presets.forEach((button) => button.setAttribute("aria-pressed", String(button.textContent === this.current)));
    $("later").disabled = Boolean(this.current);
    this.onView({ metric: $("metric").value, range: this.current });
    if (!quietly) this.tell("Loading ...");
    try {
      const document_ = await read(this.query(), asked.signal);
      this.take(document_);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  take(answer) {
    const [series] = answer.series;
    this.zone = answer.time_zone;
    const states = new Map();
    const points = (series?.points ?? []).map(([ts, value]) => [Date.parse(ts) / 1000, asNumber(value, states)]);
    if (!points.length) {
      this.shown = this.span;
      this.points = [];
      this.chart.clear();
      this.fillTable();
      $("history-facts").textContent = "";
      this.tell("No readings in this span.");
      return;
    }
    this.tell("");
    const amounts = series.kind === "interval";
    const step = STEP[series.resolution] ?? daysOf(series.resolution);
    this.scale = chooseUnit(series.unit, points.reduce((most, [, value]) => Math.max(most, Math.abs(value)), 0));
    this.states = [...states.keys()];
    this.points = points;
    // "All" is as long as there is something to see.
    this.shown = this.current === "All" ? [points[0][0], this.span[1]] : this.span;
    this.draw(series, amounts, step);
    this.tellFacts(series, amounts, points);
    this.fillTable();
  }

  draw(series, amounts, step) {
    const bars = amounts && step;
    const says = (value) => this.states[value] ?? showIn(value, this.scale);
    this.says = says;
    this.chart.draw({
      columns: withGaps(this.points, step ?? null),
      span: this.shown,
      zone: this.zone,
      scale: this.scale,
      form: bars ? "bars" : this.states.length || series.kind === "counter" ? "steps" : "line",
      tick: (value) => this.states.length ? this.states[value] ?? "" : axisText(value, this.scale),
      say: (seconds, value) => `${showTime(seconds * 1000, this.zone)}: ${says(value)}`,
      label: `${this.title(series)}, ${this.points.length} values from ${showTime(this.shown[0] * 1000, this.zone)} to ` +
        `${showTime(this.shown[1] * 1000, this.zone)}, newest ${says(this.points[this.points.length - 1][1])}`,
    });
  }

  title(series) {
    return `${showMetric(series.metric)} of ${this.entry.device.name}`;
  }

  tellFacts(series, amounts, points) {
    const facts = [series.resolution === "raw" ? "every reading" : `${series.agg} per ${series.resolution}`];
    if (amounts) {
      const total = points.reduce((sum, [, value]) => sum + value, 0);
      facts.unshift(`Total ${showIn(total, chooseUnit(series.unit, total))}`);
    }
    facts.push(`${showShare(this.coverageShown(series))} of the time covered`, `times of ${this.zone.replaceAll("_", " ")}`);
    $("history-facts").textContent = facts.join(" · ");
    $("history-unit").textContent = this.scale.unit ? `Value (${this.scale.unit})` : "Value";
  }

  /** For "All", the time before the first reading is not missing. */
  coverageShown(series) {
    const share = (this.span[1] - this.span[0]) / (this.shown[1] - this.shown[0]);
    return Math.min(1, series.coverage * share);
  }

  fillTable() {
    if (!$("history-details").open) return;
    const rows = (this.points ?? []).slice(-TABLE_ROWS).reverse();
    $("history-rows").replaceChildren(...rows.map(([seconds, value]) => tableRow(showTime(seconds * 1000, this.zone), this.says(value))));
  }

  async download() {
    if (!this.entry) return;
    try {
      const answer = await ask(this.query(), { headers: { Accept: "text/csv" } });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = `${this.entry.device.id}-${$("metric").value}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      this.fail(error);
    }
  }

  tell(text) {
    const place = $("history-state");
    place.removeAttribute("data-kind");
    place.textContent = text;
  }

  fail(error) {
    this.tell(sentence(error));
    const place = $("history-state");
    place.dataset.kind = "error";
    const retry = document.createElement("button");
    retry.type = "button";
    retry.textContent = "Try again";
    retry.addEventListener("click", () => this.load());
    place.append(retry);
  }
}

/** One row of a table twin. */
export function tableRow(time, value) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = time;
  row.append(head);
  row.insertCell().textContent = value;
  return row;
}

/** Bars by the hour up to two days, by the quarter of an hour below some hours, else by the day. */
function energyStep(start, end) {
  const age = Date.now() / 1000 - start;
  if (end - start <= 6 * HOUR && age < 80 * DAY) return "15m";
  return end - start <= 3 * DAY && age < 360 * DAY ? "1h" : "1d";
}

function daysOf(resolution) {
  const days = /^(\d+)d$/.exec(resolution);
  return days ? Number(days[1]) * DAY : null;
}

function asNumber(value, states) {
  if (typeof value !== "string") return value;
  if (!states.has(value)) states.set(value, states.size);
  return states.get(value);
}

export function axisText(value, scale) {
  const shown = value * scale.factor;
  return `${Number(shown.toPrecision(6)).toLocaleString()} ${scale.unit}`.trim();
}
