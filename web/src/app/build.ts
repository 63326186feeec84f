// Whether the server has another build of the app than the one that runs here.

const HOUR_MS = 3_600_000;
/** Any page's address: all have the same shell. */
const SHELL = "/sign-in";

/** The address of the script that a shell begins with. */
export function entryOf(shell: string): string | null {
  return /<script[^>]* src="(\/assets\/[^"]+)"/.exec(shell)?.[1] ?? null;
}

async function isOutdated(here: string): Promise<boolean> {
  const answer = await fetch(SHELL, { cache: "no-store", headers: { Accept: "text/html" } }).catch(() => null);
  const there = answer?.ok ? entryOf(await answer.text()) : null;
  return there !== null && there !== here;
}

/** Tells once when there is another build; looks now and then, and whenever the page is seen again. */
export function watchBuild(tell: () => void): () => void {
  const here = entryOf(document.documentElement.outerHTML);
  if (here === null) return () => undefined;
  const look = () => {
    if (document.visibilityState === "visible") void isOutdated(here).then((isSo) => isSo && tell());
  };
  const every = setInterval(look, HOUR_MS);
  document.addEventListener("visibilitychange", look);
  return () => {
    clearInterval(every);
    document.removeEventListener("visibilitychange", look);
  };
}
