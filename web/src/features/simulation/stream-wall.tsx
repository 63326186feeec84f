// The wall of streams: one small live chart each, on the common scale (50 is the mean, 0 and 100 three deviations).

import { SegmentedControl, SimpleGrid, Text, UnstyledButton } from "@mantine/core";
import { useEffect, useEffectEvent, useMemo, useRef, useState } from "react";
import { colorOf } from "~/charts/look";
import { useWords } from "~/language/use-words";
import { chooseScale, showIn } from "~/lib/units";
import { useTopic } from "~/live/hooks";
import { Card } from "~/ui/card";
import { Pulse, type Flag } from "./pulse";
import type { Stream } from "./queries";
import classes from "./stream-wall.module.css";

const WIDTH = 160;
const HEIGHT = 44;
const UNKNOWN = { value: Number.NaN, flag: "normal" } as const;
const COLORS: Record<Flag, string> = { normal: "--kw-import", warning: "--kw-medium", critical: "--kw-critical" };

export function StreamWall({ world, streams, onChoose }: { world: string; streams: readonly Stream[]; onChoose: (stream: string) => void }) {
  const { t } = useWords("simulation");
  const [domain, setDomain] = useState("all");
  const [pulse] = useState(() => new Pulse());
  useTopic("streams.*", (message) => pulse.take(message), () => pulse.clear());
  useEffect(() => () => pulse.clear(), [pulse, world]);
  const domains = useMemo(() => [...new Set(streams.map((one) => one.domain))], [streams]);
  const shown = domain === "all" ? streams : streams.filter((one) => one.domain === domain);
  return (
    <Card
      title={t("wall.title", { count: streams.length })}
      aside={
        <SegmentedControl
          size="xs"
          value={domains.includes(domain) ? domain : "all"}
          onChange={setDomain}
          data={[{ value: "all", label: t("wall.all") }, ...domains.map((one) => ({ value: one, label: one }))]}
          className={classes.domains}
          aria-label={t("wall.domain")}
        />
      }
    >
      <Text size="sm" c="dimmed" mb="xs">{t("wall.scale")}</Text>
      <SimpleGrid cols={{ base: 2, xs: 3, md: 4, lg: 5, xl: 6 }} spacing="xs">
        {shown.map((one) => <Tile key={`${world} ${one.name}`} stream={one} pulse={pulse} onChoose={() => onChoose(one.name)} />)}
      </SimpleGrid>
    </Card>
  );
}

/** One stream: drawn on its canvas and into its text nodes, without React, as often as it speaks. */
function Tile({ stream, pulse, onChoose }: { stream: Stream; pulse: Pulse; onChoose: () => void }) {
  const { t, locale } = useWords("simulation");
  const canvas = useRef<HTMLCanvasElement>(null);
  const value = useRef<HTMLSpanElement>(null);
  const flag = useRef<HTMLSpanElement>(null);
  const draw = useEffectEvent(() => {
    const heard = pulse.of(stream.name);
    const [, levels] = heard.ring.since(0);
    const known = levels.length ? heard : (stream.latest ?? UNKNOWN);
    const color = COLORS[known.flag];
    if (value.current) value.current.textContent = showIn(known.value, chooseScale(stream.unit, known.value), locale);
    if (flag.current) {
      flag.current.textContent = known.flag === "normal" ? "" : t(`flag.${known.flag}`);
      flag.current.style.color = `var(${color})`;
    }
    drawLine(canvas.current, levels, color);
  });
  useEffect(() => {
    draw();
    return pulse.onDraw(stream.name, () => draw());
  }, [pulse, stream.name]);
  return (
    <UnstyledButton className={classes.tile} onClick={onChoose} aria-label={t("wall.choose", { stream: stream.title })}>
      <span className={classes.name}>{stream.title}</span>
      <span className={classes.line}>
        <span ref={value} className={`kw-number ${classes.value}`} />
        <span ref={flag} className={classes.flag} />
      </span>
      <canvas ref={canvas} width={WIDTH * 2} height={HEIGHT * 2} className={classes.canvas} aria-hidden />
    </UnstyledButton>
  );
}

function drawLine(canvas: HTMLCanvasElement | null, levels: Float64Array, color: string): void {
  const pen = canvas?.getContext("2d");
  if (!pen) return;
  const [width, height] = [WIDTH * 2, HEIGHT * 2];
  pen.clearRect(0, 0, width, height);
  pen.lineWidth = 2;
  pen.strokeStyle = colorOf("--kw-grid");
  pen.beginPath();
  pen.moveTo(0, height / 2);
  pen.lineTo(width, height / 2);
  pen.stroke();
  if (!levels.length) return;
  pen.strokeStyle = colorOf(color);
  pen.lineWidth = 3;
  pen.beginPath();
  const step = width / Math.max(levels.length - 1, 1);
  levels.forEach((level, at) => {
    const y = height - 3 - (level / 100) * (height - 6);
    if (at) pen.lineTo(at * step, y);
    else pen.moveTo(0, y);
  });
  pen.stroke();
}
