// What flows from where to where, as bands whose width is the amount; the same as a table beneath.

import { useElementSize } from "@mantine/hooks";
import { useId, useMemo } from "react";
import { useWords } from "~/language/use-words";
import { placeFlow, type FlowLink, type FlowNode, type PlacedLink, type PlacedNode } from "./sankey-layout";
import classes from "./sankey.module.css";

interface SankeyProps {
  /** From left to right, from top to bottom. */
  readonly nodes: readonly FlowNode[];
  readonly links: readonly FlowLink[];
  readonly height: number;
  /** What the drawing says, in a sentence. */
  readonly label: string;
  readonly show: (value: number) => string;
}

const BESIDE = 6;
const THIN = 1.5;

export function Sankey({ nodes, links, height, label, show }: SankeyProps) {
  const { ref, width } = useElementSize<HTMLDivElement>();
  const placed = useMemo(() => placeFlow(nodes, links, width, height), [nodes, links, width, height]);
  return (
    <>
      <div ref={ref} style={{ height }}>
        <svg className={classes.drawing} role="img" aria-label={label} height={height} viewBox={`0 0 ${Math.max(1, width)} ${height}`}>
          {placed.links.map((link) => <Band key={link.key} link={link} />)}
          {placed.nodes.map((node) => <Part key={node.id} node={node} text={show(node.value)} />)}
        </svg>
      </div>
      <Twin nodes={nodes} links={links} show={show} />
    </>
  );
}

function Band({ link }: { link: PlacedLink }) {
  const id = useId();
  return (
    <g>
      <linearGradient id={id} gradientUnits="userSpaceOnUse" x1={link.fromX} x2={link.toX}>
        <stop offset="0" stopColor={`var(${link.from.color})`} />
        <stop offset="1" stopColor={`var(${link.to.color})`} />
      </linearGradient>
      <path d={link.path} fill="none" stroke={`url(#${id})`} strokeOpacity={0.32} strokeWidth={Math.max(THIN, link.width)} />
      <path className={classes.moving} d={link.path} stroke={`var(${link.from.color})`} strokeWidth={Math.min(4, Math.max(THIN, link.width / 3))} />
    </g>
  );
}

function Part({ node, text }: { node: PlacedNode; text: string }) {
  const x = node.isLast ? node.x - BESIDE : node.x + node.width + BESIDE;
  const anchor = node.isLast ? "end" : "start";
  const y = node.y + node.height / 2;
  return (
    <g>
      <rect x={node.x} y={node.y} width={node.width} height={Math.max(2, node.height)} rx={3} fill={`var(${node.color})`} />
      <text className={classes.words} textAnchor={anchor} x={x} y={y - 3}>{node.label}</text>
      <text className={`${classes.words} ${classes.value}`} textAnchor={anchor} x={x} y={y + 11}>{text}</text>
    </g>
  );
}

function Twin({ nodes, links, show }: Pick<SankeyProps, "nodes" | "links" | "show">) {
  const { t } = useWords();
  const name = (id: string) => nodes.find((node) => node.id === id)?.label ?? id;
  return (
    <details className={classes.twin}>
      <summary>{t("table.show")}</summary>
      <table>
        <thead>
          <tr><th scope="col">{t("flow.from")}</th><th scope="col">{t("flow.to")}</th><th scope="col">{t("flow.value")}</th></tr>
        </thead>
        <tbody>
          {links.filter(({ value }) => value > 0).map(({ from, to, value }) => (
            <tr key={`${from} ${to}`}><td>{name(from)}</td><td>{name(to)}</td><td className="kw-number">{show(value)}</td></tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
