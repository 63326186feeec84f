// Puts the page together: session, device list, live feed, two charts, and the address that remembers the view.

import { ask, openSession, read, Refused, sentence } from "./api.js";
import { Chart, withGaps } from "./charts.js";
import { Devices, mainMetric } from "./devices.js";
import { chooseUnit, show, showClock, showIn, showMetric, showTime } from "./format.js";
import { axisText, History, tableRow } from "./history.js";
import { Feed, Ring } from "./live.js";

const LIVE_S = 300;
const LIVE_GAP_S = 30;
const LIVE_TABLE_ROWS = 50;
const REFRESH_MS = 60_000;

const $ = (id) => document.getElementById(id);
const view = new Map(new URLSearchParams(location.hash.slice(1)));
const rings = new Map();
const shown = { entry: null, metric: null, zone: "UTC" };

const liveChart = new Chart($("live-chart"));
const history = new History({ onView: remember });
const devices = new Devices({ onChoose: openDevice });
const feed = new Feed({ onReading: takeReading, onState: tellConnection, onReset: () => devices.refreshValues(), onRefused: askForKey });

function remember(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value) view.set(name, value);
    else view.delete(name);
  }
  window.history.replaceState(null, "", `#${new URLSearchParams([...view])}`);
}

// --- live -------------------------------------------------------------------------------------------------

function ringOf(device, metric) {
  const name = `${device} ${metric}`;
  if (!rings.has(name)) rings.set(name, new Ring());
  return rings.get(name);
}

function takeReading(reading) {
  const entry = devices.take(reading);
  if (!entry) {
    devices.load().then(openFirst);
    return;
  }
  const seconds = reading.ms / 1000;
  for (const [metric, value] of Object.entries(reading.metrics)) {
    if (typeof value === "number") ringOf(reading.device, metric).push(seconds, value);
  }
  if (entry === shown.entry) drawLive();
}

function drawLive() {
  const { entry, metric, zone } = shown;
  const now = Date.now() / 1000;
  const [times, values] = metric ? ringOf(entry.device.id, metric).since(now - LIVE_S) : [[], []];
  if (!times.length) {
    liveChart.clear();
    $("live-now").textContent = "";
    $("live-state").textContent = entry?.newest
      ? `No readings in the last five minutes; the newest is of ${showTime(entry.newest, zone)}.`
      : "No readings yet.";
    return;
  }
  $("live-state").textContent = "";
  const unit = entry.metrics.get(metric)?.unit ?? "";
  const newest = values[values.length - 1];
  const scale = chooseUnit(unit, values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  $("live-now").textContent = show(newest, unit);
  liveChart.draw({
    columns: withGaps(Array.from(times, (seconds, row) => [seconds, values[row]]), LIVE_GAP_S),
    span: [now - LIVE_S, now],
    zone,
    scale,
    form: "line",
    tick: (value) => axisText(value, scale),
    say: (seconds, value) => `${showTime(seconds * 1000, zone, true)}: ${showIn(value, scale)}`,
    label: `${showMetric(metric)} of ${entry.device.name} in the last five minutes, now ${show(newest, unit)}`,
  });
  fillLiveTable(times, values, scale);
}

function fillLiveTable(times, values, scale) {
  if (!$("live-details").open) return;
  $("live-unit").textContent = `${showMetric(shown.metric)}${scale.unit ? ` (${scale.unit})` : ""}`;
  const rows = [];
  for (let row = times.length - 1; row >= 0 && rows.length < LIVE_TABLE_ROWS; row -= 1) {
    rows.push(tableRow(showTime(times[row] * 1000, shown.zone, true), showIn(values[row], scale)));
  }
  $("live-rows").replaceChildren(...rows);
}

function tellConnection(state) {
  const place = $("connection");
  if (place.dataset.state === state) return;
  place.dataset.state = state;
  const newest = Math.max(0, ...[...devices.known.values()].map((entry) => entry.newest));
  const since = newest ? `, showing data from ${showClock(newest, shown.zone)}` : "";
  place.textContent = { live: "Live", reconnecting: "Reconnecting", offline: `Offline${since}` }[state];
}

// --- devices ----------------------------------------------------------------------------------------------

async function openDevice(entry) {
  shown.entry = entry;
  shown.metric = mainMetric(entry.metrics);
  shown.zone = devices.sites.get(entry.device.site_id)?.time_zone ?? "UTC";
  remember({ device: entry.device.id });
  $("live-title").textContent = shown.metric ? `Live: ${showMetric(shown.metric).toLowerCase()} of ${entry.device.name}` : "Live";
  $("history-title").textContent = `History of ${entry.device.name}`;
  drawLive();
  history.open(entry, shown.zone, view.get("metric"), view.get("range"));
  await fillLive(entry, shown.metric);
}

/** What came before this page was opened. */
async function fillLive(entry, metric) {
  if (!metric) return;
  const start = new Date(Date.now() - LIVE_S * 1000).toISOString();
  const query = new URLSearchParams({ start, metrics: metric, resolution: "raw" });
  const answer = await read(`/devices/${entry.device.id}/readings?${query}`).catch(() => null);
  const points = (answer?.series[0]?.points ?? []).filter(([, value]) => typeof value === "number");
  ringOf(entry.device.id, metric).precede(points.map(([ts, value]) => [Date.parse(ts) / 1000, value]));
  if (shown.entry === entry) drawLive();
}

function openFirst() {
  if (devices.chosen || !devices.known.size) return;
  const wanted = view.get("device");
  devices.choose(devices.known.has(wanted) ? wanted : devices.known.keys().next().value);
}

// --- session ----------------------------------------------------------------------------------------------

function askForKey() {
  $("board").hidden = true;
  $("login").hidden = false;
  $("connection").dataset.state = "waiting";
  $("connection").textContent = "Not signed in";
  $("key").focus();
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-fault").textContent = "";
  try {
    await openSession($("key").value.trim());
    $("key").value = "";
    await begin();
  } catch (error) {
    $("login-fault").textContent = sentence(error);
  }
});

async function begin() {
  const caller = await read("/whoami");
  $("organisation").textContent = caller.organisation;
  $("login").hidden = true;
  $("board").hidden = false;
  feed.start();
  await devices.load();
  openFirst();
}

async function enter(again = true) {
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Refused)) {
      tellConnection("offline");
      setTimeout(enter, 3000);
    } else if (again && error.status === 401) {
      await renewSession().catch(() => null);
      await enter(false);
    } else {
      askForKey();
    }
  }
}

/** A cookie may be left from another instance at this address; the demo gives a new one with its page. */
async function renewSession() {
  await ask("/session", { method: "DELETE" });
  await fetch("/", { cache: "reload" });
}

$("live-details").addEventListener("toggle", () => shown.entry && drawLive());
setInterval(() => {
  devices.paintAges();
  if (shown.entry) drawLive();
}, 1000);
setInterval(() => {
  if (document.visibilityState !== "visible" || !devices.known.size) return;
  devices.refreshEnergy();
  history.refresh();
}, REFRESH_MS);
enter();
