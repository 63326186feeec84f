// The device list: who there is, the newest value of each, today's energy. Rows change in place.

import { read, sentence, withQuery } from "./api.js";
import { show, showAge, showMetric, showShare } from "./format.js";

const PAGE = 200;
const MAIN = ["power", "energy_interval", "energy", "temperature", "state"];

/** The metric that stands for a device in the list. */
export function mainMetric(metrics) {
  return MAIN.find((name) => metrics.has(name)) ?? metrics.keys().next().value ?? null;
}

export class Devices {
  constructor({ onChoose }) {
    this.table = document.getElementById("device-table");
    this.body = this.table.tBodies[0];
    this.state = document.getElementById("devices-state");
    this.more = document.getElementById("more-devices");
    this.onChoose = onChoose;
    this.known = new Map();
    this.sites = new Map();
    this.chosen = null;
    this.cursor = null;
    this.more.addEventListener("click", () => this.load(this.cursor));
  }

  /** Reads the sites and a page of devices with their newest values. */
  async load(cursor = null) {
    try {
      if (!cursor) {
        for (const site of (await read("/sites?limit=500")).items) this.sites.set(site.id, site);
      }
      const page = await read(withQuery("/devices", { limit: PAGE, cursor }));
      for (const device of page.items) this.add(device);
      this.cursor = page.next_cursor;
      this.more.hidden = !this.cursor;
      this.tellState();
      await this.refreshValues();
      this.refreshEnergy();
    } catch (error) {
      this.fail(error);
    }
  }

  tellState() {
    this.table.hidden = this.known.size === 0;
    this.state.removeAttribute("data-kind");
    this.state.textContent = "";
    if (this.known.size) return;
    const example = document.createElement("pre");
    example.textContent =
      `curl ${location.origin}/api/v1/readings \\\n  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n` +
      `  -d '{"device": "kettle", "metrics": {"power": 1950.5}}'`;
    this.state.append("No devices yet. With a key that registers devices by itself, the first reading makes one:", example);
  }

  fail(error) {
    this.state.dataset.kind = "error";
    this.state.textContent = sentence(error);
    const retry = document.createElement("button");
    retry.type = "button";
    retry.textContent = "Try again";
    retry.addEventListener("click", () => this.load());
    this.state.append(retry);
  }

  add(device) {
    if (this.known.has(device.id)) return;
    const row = this.body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = device.name;
    button.addEventListener("click", () => this.choose(device.id));
    const seen = document.createElement("small");
    head.append(button, seen);
    row.append(head);
    const [now, today] = [row.insertCell(), row.insertCell()];
    now.textContent = today.textContent = "–";
    this.known.set(device.id, { device, row, button, seen, now, today, metrics: new Map(), newest: 0 });
  }

  choose(id) {
    const entry = this.known.get(id);
    if (!entry) return;
    for (const other of this.known.values()) {
      other.button.setAttribute("aria-pressed", String(other === entry));
      other.row.toggleAttribute("data-chosen", other === entry);
    }
    this.chosen = id;
    this.onChoose(entry);
  }

  async refreshValues() {
    for (const item of (await read("/readings/latest")).items) {
      const entry = this.known.get(item.device);
      if (!entry) continue;
      for (const { metric, unit, ts, value } of item.metrics) {
        this.learn(entry, metric, unit, Date.parse(ts), value);
      }
      this.paint(entry);
    }
  }

  learn(entry, metric, unit, ms, value) {
    const known = entry.metrics.get(metric);
    if (known && known.ms > ms) return;
    entry.metrics.set(metric, { unit: unit ?? known?.unit ?? "", ms, value });
    entry.newest = Math.max(entry.newest, ms);
  }

  /** Takes a live reading; answers the entry, or null for a device that the list does not show yet. */
  take({ device, ms, metrics }) {
    const entry = this.known.get(device);
    if (!entry) return null;
    let unknown = false;
    for (const [metric, value] of Object.entries(metrics)) {
      unknown ||= !entry.metrics.has(metric);
      this.learn(entry, metric, null, ms, value);
    }
    if (unknown) this.learnUnits();
    this.paint(entry);
    return entry;
  }

  /** A metric seen for the first time came without its unit. Asked for once a while. */
  learnUnits() {
    if (this.asking) return;
    this.asking = setTimeout(async () => {
      await this.refreshValues().catch(() => null);
      this.asking = null;
    }, 2000);
  }

  paint(entry) {
    const main = mainMetric(entry.metrics);
    if (!main) return;
    const { unit, value } = entry.metrics.get(main);
    entry.now.textContent = show(value, unit);
    entry.now.title = showMetric(main);
    this.paintAge(entry);
  }

  paintAge(entry) {
    entry.seen.textContent = entry.newest ? showAge((Date.now() - entry.newest) / 1000) : "no readings yet";
  }

  paintAges() {
    for (const entry of this.known.values()) this.paintAge(entry);
  }

  /** Today's energy: the one bucket of a day, in the site's own time, that holds this moment. */
  async refreshEnergy() {
    const end = new Date();
    const start = new Date(end - 1);
    for (const site of this.sites.values()) {
      const query = { start: start.toISOString(), end: end.toISOString(), resolution: "1d" };
      const energy = await read(withQuery(`/sites/${site.id}/energy`, query)).catch(() => null);
      for (const one of energy?.devices ?? []) this.paintEnergy(one);
    }
  }

  paintEnergy({ device, energy_wh: energy, coverage }) {
    const entry = this.known.get(device);
    if (!entry || energy === null) return;
    entry.today.textContent = show(energy, "Wh");
    if (coverage < 0.9999) {
      const part = document.createElement("small");
      part.textContent = `${showShare(coverage)} of the day known`;
      entry.today.append(part);
    }
  }
}
