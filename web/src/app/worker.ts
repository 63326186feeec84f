// The service worker, which has the app at hand without a network, and what to do when a part of it is gone.

const RELOADED = "kilowatch.reloaded";
const AGAIN_AFTER_MS = 60_000;

/** Registers the worker and tells it what was loaded before it was there. */
export function startWorker(): void {
  addEventListener("vite:preloadError", reloadOnce);
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  addEventListener("load", () => void register().catch(() => undefined));
}

async function register(): Promise<void> {
  await navigator.serviceWorker.register("/sw.js");
  const { active } = await navigator.serviceWorker.ready;
  const addresses = performance.getEntriesByType("resource").map((one) => one.name);
  active?.postMessage({ type: "loaded", addresses: addresses.filter((one) => new URL(one).pathname.startsWith("/assets/")) });
}

/** The server has a newer build without this part: that build is fetched, but not again and again. */
function reloadOnce(): void {
  if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < AGAIN_AFTER_MS) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}
