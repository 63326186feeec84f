// Where to go after signing in: a page of this app, whatever the address asks for. Pure.

const OUTSIDE = ["/sign-in", "/sign-up", "/reset-password"];
const HERE = "http://here.invalid";

/** The own page that `to` asks for; home for anything else. */
export function targetOf(to: unknown): string {
  if (typeof to !== "string" || !to.startsWith("/")) return "/";
  try {
    const address = new URL(to, HERE);
    if (address.origin !== HERE || OUTSIDE.includes(address.pathname) || address.pathname.startsWith("//")) return "/";
    return `${address.pathname}${address.search}${address.hash}`;
  } catch {
    return "/";
  }
}
