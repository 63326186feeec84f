// Addresses and what is shown at them. Every page is a chunk of its own, fetched together with its words.

import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect, type AnyRoute, type AsyncRouteComponent,
} from "@tanstack/react-router";
import { latestQuery, siteDevicesQuery } from "~/api/devices";
import { keptSite, sitesQuery, type Site } from "~/api/place";
import { isAnybodyHere, sessionQuery } from "~/api/session";
import { loadWords } from "~/language/language";
import { Failure } from "~/ui/states";
import { NotFound } from "./not-found";

interface Context {
  readonly queries: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: ({ error, reset }) => <Failure error={error} onRetry={reset} />,
});

const fetchFrame = () => import("./frame");
/** How each page is begun: its code and its words. */
const beginnings = new Map<RegExp, () => Promise<unknown>>();

/** Fetches everything that a page will need beside the question of who is there, not after it. */
function begin(pathname: string, queries: QueryClient): void {
  const fetches = [...beginnings].filter(([pattern]) => pattern.test(pathname)).map(([, fetch]) => fetch());
  // What fails here is asked for once more where it is needed, and told of there.
  void Promise.allSettled([fetchFrame(), ...fetches]);
  const sites = queries.fetchQuery(sitesQuery);
  if (pathname === "/") void sites.then((found) => beginHome(found, queries), () => undefined);
}

/** The first answers of Home. */
function beginHome(sites: readonly Site[], queries: QueryClient): void {
  const kept = sites.find((one) => one.id === keptSite()) ?? (sites.length === 1 ? sites[0] : null);
  const id = kept?.id ?? null;
  void queries.prefetchQuery(siteDevicesQuery(id));
  void queries.prefetchQuery(latestQuery(id));
}

/** Pages for whoever is signed in; others are sent to sign in and come back afterwards. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: lazyRouteComponent(async () => ({ default: (await fetchFrame()).Frame })),
  beforeLoad: async ({ context, location }) => {
    if (isAnybodyHere() && !context.queries.getQueryData(sessionQuery.queryKey)) begin(location.pathname, context.queries);
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/sign-in", search: { to: location.href } as never });
  },
});

type Search = Record<string, unknown>;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a page takes no properties
type Fetch = () => Promise<AsyncRouteComponent<any>>;

function page(parent: AnyRoute, path: string, words: readonly string[], fetch: Fetch) {
  beginnings.set(new RegExp(`^${path.replace(/\$\w+/g, "[^/]+")}$`), () => Promise.all([fetch(), loadWords(...words)]));
  return createRoute({
    getParentRoute: () => parent,
    path,
    component: lazyRouteComponent(async () => ({ default: await fetch() })),
    loader: () => loadWords(...words),
    validateSearch: (search: Search) => search,
  });
}

const outsidePages = [
  page(root, "/sign-in", ["account"], async () => (await import("~/routes/sign-in")).SignInPage),
  page(root, "/sign-up", ["account"], async () => (await import("~/routes/sign-up")).SignUpPage),
  page(root, "/reset-password", ["account"], async () => (await import("~/routes/reset-password")).ResetPasswordPage),
];

const insidePages = [
  page(inside, "/", ["home"], async () => (await import("~/routes/home")).HomePage),
  page(inside, "/devices", ["devices", "metrics"], async () => (await import("~/routes/devices")).DevicesPage),
  page(inside, "/devices/$device", ["devices", "metrics"], async () => (await import("~/routes/device")).DevicePage),
  page(inside, "/history", ["history", "metrics"], async () => (await import("~/routes/history")).HistoryPage),
  page(inside, "/alerts", ["alerts", "metrics"], async () => (await import("~/routes/alerts")).AlertsPage),
  page(inside, "/alerts/$alert", ["alerts", "metrics"], async () => (await import("~/routes/alert")).AlertPage),
  page(inside, "/notifications", ["notifications"], async () => (await import("~/routes/notifications")).NotificationsPage),
  page(inside, "/rules", ["rules", "metrics"], async () => (await import("~/routes/rules")).RulesPage),
  page(inside, "/rules/$rule", ["rules", "metrics"], async () => (await import("~/routes/rule")).RulePage),
  page(inside, "/dead-letters", ["dead-letters"], async () => (await import("~/routes/dead-letters")).DeadLettersPage),
  page(inside, "/control-room", ["control-room"], async () => (await import("~/routes/control-room")).ControlRoomPage),
  page(inside, "/simulation", ["simulation"], async () => (await import("~/routes/simulation")).SimulationPage),
  page(inside, "/administration", ["administration"], async () => (await import("~/routes/administration")).AdministrationPage),
  page(inside, "/settings", ["settings", "account", "notifications"], async () => (await import("~/routes/settings")).SettingsPage),
];

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: root.addChildren([...outsidePages, inside.addChildren(insidePages)]),
    context: { queries },
    defaultPreload: "intent",
    scrollRestoration: true,
  });
}
