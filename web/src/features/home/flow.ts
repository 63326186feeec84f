// What the flow drawing shows of a balance. Pure.

import type { FlowLink, FlowNode } from "~/charts/sankey-layout";
import { sharesOf, type Balance, type Part, type Source } from "~/lib/balance";
import { USERS } from "~/lib/role";

const MOST_DEVICES = 5;
/** What draws less is among the others. */
const LEAST_W = 1;

export interface FlowWords {
  readonly grid: string;
  readonly solar: string;
  readonly generator: string;
  readonly battery: string;
  readonly imbalance: string;
  readonly home: string;
  readonly charging: string;
  readonly exported: string;
  readonly others: string;
  readonly untracked: string;
}

const COLORS: Record<Source, string> = {
  grid: "--kw-import", solar: "--kw-solar", generator: "--kw-solar", battery: "--kw-battery-out", imbalance: "--kw-critical",
};

/** Parts and flows: sources, the home, what uses; the largest devices each, the others together. */
export function flowOf(balance: Balance, parts: readonly Part[], words: FlowWords): { nodes: FlowNode[]; links: FlowLink[] } {
  const uses = parts
    .filter((part) => USERS.includes(part.role) && (part.value ?? 0) >= LEAST_W)
    .sort((one, other) => (other.value ?? 0) - (one.value ?? 0));
  const largest = uses.slice(0, uses.length > MOST_DEVICES + 1 ? MOST_DEVICES : undefined);
  const shown = largest.reduce((sum, part) => sum + (part.value ?? 0), 0);
  // The order of names, so that nobody changes places from second to second.
  largest.sort((one, other) => one.name.localeCompare(other.name));
  const others = balance.use - balance.untracked - shown;
  const sinks: (FlowNode & { value: number })[] = [
    ...largest.map((part) => ({ id: `use ${part.id}`, label: part.name, color: part.role === "car" ? "--kw-car" : "--kw-home", value: part.value ?? 0 })),
    { id: "others", label: words.others, color: "--kw-home", value: others >= LEAST_W ? others : 0 },
    { id: "untracked", label: words.untracked, color: "--kw-quiet", value: balance.untracked },
  ];
  const sources = (Object.keys(COLORS) as Source[]).map((id) => ({ id, label: words[id], color: COLORS[id] }));
  const nodes: FlowNode[] = [
    ...sources,
    { id: "home", label: words.home, color: "--kw-home" },
    { id: "charging", label: words.charging, color: "--kw-battery-in" },
    { id: "export", label: words.exported, color: "--kw-export" },
    ...sinks.map(({ id, label, color }) => ({ id, label, color })),
  ];
  const links = [
    ...sharesOf(balance).map(({ from, to, value }) => ({ from, to: to === "battery" ? "charging" : to, value })),
    ...sinks.map(({ id, value }) => ({ from: "home", to: id, value })),
  ];
  return { nodes, links: links.filter(({ value }) => value > 0) };
}
