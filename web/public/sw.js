// What works without a network: the shell, the code that was loaded, and the last answers to a few questions.
// Keeps true that whatever the server can answer is the server's answer; that answers kept for one organisation
// are not shown for another; and that they are gone when somebody signs in or out, or is no longer known.

const SHELL = "kilowatch-shell";
const CODE = "kilowatch-code";
const ANSWERS = "kilowatch-answers";
const ANSWERS_MOST = 80;

/** Questions whose last answer is worth showing while the server is away. */
const KEPT = [
  /^\/api\/v1\/(whoami|me|sites|devices|alerts|rules|notifications|organisations)$/,
  /^\/api\/v1\/(readings\/latest|alerts\/summary|notifications\/unread)$/,
  /^\/api\/v1\/sites\/[^/]+(\/(energy|flow|tariff))?$/,
  /^\/api\/v1\/devices\/[^/]+(\/(readings|health))?$/,
];

/** Where somebody becomes somebody else. */
const TURNING = /^\/api\/v1\/(auth\/(login|logout|verify)|session)$/;

/** Counts who was here: what somebody asked is not kept once it is somebody else's turn. */
let turn = 0;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(fetch("/sign-in").then(keepShell));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

/** A page tells what it had loaded before this worker was there. */
self.addEventListener("message", (event) => {
  if (event.data?.type === "loaded") event.waitUntil(caches.open(CODE).then((cache) => addMissing(cache, event.data.addresses)));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (TURNING.test(pathname)) return event.respondWith(turnOver(request));
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(shell(request));
  else if (pathname.startsWith("/assets/") || pathname === "/icon.svg") event.respondWith(code(request));
  else if (KEPT.some((one) => one.test(pathname)) && wantsJson(request)) event.respondWith(answer(event));
});

function wantsJson(request) {
  const wanted = request.headers.get("accept") ?? "*/*";
  return wanted.includes("*/*") || wanted.includes("application/json");
}

async function shell(request) {
  try {
    const fresh = await fetch(request);
    if (isPage(fresh)) await keepShell(fresh.clone());
    return fresh;
  } catch (error) {
    const kept = await caches.match("/", { cacheName: SHELL });
    if (kept) return kept;
    throw error;
  }
}

function isPage(response) {
  return response.ok && !response.redirected && (response.headers.get("content-type") ?? "").startsWith("text/html");
}

/** Another shell is another build: the code of the one before is dropped. */
async function keepShell(response) {
  if (!isPage(response)) return;
  const cache = await caches.open(SHELL);
  const before = await (await cache.match("/"))?.text();
  const now = await response.clone().text();
  if (before !== undefined && before !== now) await caches.delete(CODE);
  if (before !== now) await cache.put("/", response);
}

async function code(request) {
  const kept = await caches.match(request, { cacheName: CODE });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) await (await caches.open(CODE)).put(request, fresh.clone());
  return fresh;
}

async function addMissing(cache, addresses) {
  await Promise.all(addresses.map(async (one) => (await cache.match(one)) ?? cache.add(one).catch(() => undefined)));
}

/** What is asked until the server has answered is still asked by whoever was here before. */
async function turnOver(request) {
  await forget();
  try {
    return await fetch(request);
  } finally {
    await forget();
  }
}

async function forget() {
  turn += 1;
  await caches.delete(ANSWERS);
}

async function answer(event) {
  const { request } = event;
  const asked = turn;
  const address = new URL(request.url);
  address.searchParams.set("kept-for", request.headers.get("x-organisation") ?? "");
  try {
    const fresh = await fetch(request);
    if (fresh.ok) event.waitUntil(keepAnswer(address.href, fresh.clone(), asked));
    if (fresh.status === 401) event.waitUntil(forget());
    return fresh;
  } catch (error) {
    const kept = await caches.match(address.href, { cacheName: ANSWERS });
    if (kept) return kept;
    throw error;
  }
}

async function keepAnswer(address, response, asked) {
  const headers = new Headers(response.headers);
  headers.set("x-kept-at", new Date().toISOString());
  const kept = new Response(await response.blob(), { status: response.status, headers });
  const cache = await caches.open(ANSWERS);
  await cache.delete(address);
  if (asked !== turn) return;
  await cache.put(address, kept);
  const keys = await cache.keys();
  await Promise.all(keys.slice(0, Math.max(0, keys.length - ANSWERS_MOST)).map((one) => cache.delete(one)));
}
