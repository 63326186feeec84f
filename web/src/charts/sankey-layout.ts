// Where the parts of a flow drawing stand. Pure.

import { sankey, sankeyLinkHorizontal, type SankeyLink, type SankeyNode } from "d3-sankey";

export interface FlowNode {
  readonly id: string;
  readonly label: string;
  /** A colour variable such as "--kw-solar". */
  readonly color: string;
}

export interface FlowLink {
  readonly from: string;
  readonly to: string;
  readonly value: number;
}

export interface PlacedNode extends FlowNode {
  readonly value: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

export interface PlacedLink {
  readonly key: string;
  readonly from: FlowNode;
  readonly to: FlowNode;
  readonly value: number;
  readonly path: string;
  readonly width: number;
  readonly fromX: number;
  readonly toX: number;
}

const NODE_WIDTH = 12;
const MARGIN = 14;
/** Room for two lines of words beside each part. */
const BETWEEN = 30;

type Node = SankeyNode<FlowNode, object>;
type Link = SankeyLink<FlowNode, object>;

/** Places parts and flows in a box; flows of nothing and parts without a flow are left out. */
export function placeFlow(nodes: readonly FlowNode[], links: readonly FlowLink[], width: number, height: number): { nodes: PlacedNode[]; links: PlacedLink[] } {
  const flowing = links.filter(({ value }) => value > 0);
  const used = new Set(flowing.flatMap(({ from, to }) => [from, to]));
  if (!flowing.length || width < 100) return { nodes: [], links: [] };
  const place = sankey<FlowNode, object>()
    .nodeId((node) => node.id)
    .nodeWidth(NODE_WIDTH)
    .nodePadding(BETWEEN)
    // Parts stay in the order in which they are given, so that nothing changes places while values change.
    .nodeSort(null)
    .linkSort(null)
    .extent([[0, MARGIN], [width, height - MARGIN]]);
  const found = place({
    nodes: nodes.filter(({ id }) => used.has(id)).map((node) => ({ ...node })),
    links: flowing.map(({ from, to, value }) => ({ source: from, target: to, value })),
  });
  const toPath = sankeyLinkHorizontal<FlowNode, object>();
  return {
    nodes: found.nodes.map((node) => placedNode(node, width)),
    links: found.links.map((link) => placedLink(link, toPath(link) ?? "")),
  };
}

function placedNode(node: Node, width: number): PlacedNode {
  const { x0 = 0, x1 = 0, y0 = 0, y1 = 0, value = 0, id, label, color } = node;
  return { id, label, color, value, x: x0, y: y0, width: x1 - x0, height: y1 - y0, isFirst: x0 === 0, isLast: x1 >= width - 1 };
}

function placedLink(link: Link, path: string): PlacedLink {
  const from = link.source as Node;
  const to = link.target as Node;
  return { key: `${from.id} ${to.id}`, from, to, value: link.value, path, width: link.width ?? 0, fromX: from.x1 ?? 0, toX: to.x0 ?? 0 };
}
