// Power now against what is usual at this hour: the middle of the arc is the usual.

import { Text } from "@mantine/core";
import { useWords } from "~/language/use-words";
import { show, showShare } from "~/lib/units";
import { Card } from "~/ui/card";
import type { Usual } from "./today";

const RADIUS = 80;
const CIRCUMFERENCE = Math.PI * RADIUS;
const ARC = `M ${100 - RADIUS} 100 A ${RADIUS} ${RADIUS} 0 0 1 ${100 + RADIUS} 100`;
const HIGH = 1.5;

function colorOf(ratio: number): string {
  if (ratio > HIGH) return "var(--kw-high)";
  return ratio > 1.1 ? "var(--kw-medium)" : "var(--kw-good)";
}

export function Gauge({ now, usual, isTooLarge }: { now: number | null; usual: Usual | null; isTooLarge: boolean }) {
  const { t, locale } = useWords("home");
  const ratio = now !== null && usual && usual.nowW > 0 ? now / usual.nowW : null;
  const share = ratio === null ? "" : showShare(Math.abs(ratio - 1), locale);
  const word = ratio === null ? (isTooLarge ? "gauge.too-large" : "gauge.learning") : Math.abs(ratio - 1) < 0.1 ? "gauge.usual" : ratio > 1 ? "gauge.above" : "gauge.below";
  const sentence = t(word, { share });
  const usually = usual ? t("gauge.usually", { power: show(usual.nowW, "W", locale) }) : "\u00a0";
  return (
    <Card title={t("gauge.title")}>
      <svg viewBox="0 0 200 112" role="img" aria-label={`${show(now, "W", locale)}. ${sentence}. ${usually}`} style={{ display: "block", width: "100%", maxWidth: 280, margin: "0 auto" }}>
        <path d={ARC} fill="none" stroke="var(--kw-grid)" strokeWidth={16} strokeLinecap="round" />
        {ratio !== null && (
          <path
            d={ARC}
            fill="none"
            stroke={colorOf(ratio)}
            strokeWidth={16}
            strokeLinecap="round"
            strokeDasharray={`${Math.min(1, ratio / 2) * CIRCUMFERENCE} ${CIRCUMFERENCE * 2}`}
            style={{ transition: "stroke-dasharray 0.6s" }}
          />
        )}
        <line x1={100} x2={100} y1={8} y2={32} stroke="var(--kw-text)" strokeWidth={2} />
        <text x={100} y={92} textAnchor="middle" fill="var(--kw-text)" fontSize={22} fontWeight={650}>{show(now, "W", locale)}</text>
      </svg>
      <Text ta="center" fw={600} mih="1.6rem">{sentence}</Text>
      <Text ta="center" size="sm" c="dimmed" mih="1.4rem">{usually}</Text>
    </Card>
  );
}
