// The wall of streams: one small live chart each, on the common scale (50 is the mean, 0 and 100 three deviations).

import { SegmentedControl, SimpleGrid, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useEffectEvent, useMemo, useRef, useState } from "react";
import { useWords } from "~/language/use-words";
import { chooseScale, showIn } from "~/lib/units";
import { useTopic } from "~/live/hooks";
import { Card } from "~/ui/card";
import { Pulse, type Flag } from "./pulse";
import { PAST_S, pastQuery, stateQuery, type Stream } from "./queries";
import classes from "./stream-wall.module.css";
import { drawTile, HEIGHT, WIDTH } from "./tile-drawing";

const UNKNOWN = { value: Number.NaN, flag: "normal" } as const;
const COLORS: Record<Flag, string> = { normal: "--kw-import", warning: "--kw-medium", critical: "--kw-critical" };

export function StreamWall({ world, streams, onChoose }: { world: string; streams: readonly Stream[]; onChoose: (stream: string) => void }) {
  const { t } = useWords("simulation");
  const [domain, setDomain] = useState("all");
  const [pulse] = useState(() => new Pulse());
  useTopic("streams.*", (message) => pulse.take(message), () => pulse.clear());
  useEffect(() => () => pulse.clear(), [pulse, world]);
  const { data: state } = useQuery(stateQuery);
  const { data: past } = useQuery({ ...pastQuery(world), enabled: state?.world === world });
  useEffect(() => {
    for (const [name, points] of Object.entries(past ?? {})) {
      pulse.precede(name, points.map(({ ts, normalised }) => [Date.parse(ts) / 1_000, normalised]));
    }
  }, [pulse, past]);
  const domains = useMemo(() => [...new Set(streams.map((one) => one.domain))], [streams]);
  const shown = domain === "all" ? streams : streams.filter((one) => one.domain === domain);
  return (
    <Card
      title={t("wall.title", { count: streams.length })}
      aside={
        domains.length > 1 && <div className={classes.domains}>
          <SegmentedControl
            size="xs"
            value={domains.includes(domain) ? domain : "all"}
            onChange={setDomain}
            data={[{ value: "all", label: t("wall.all") }, ...domains.map((one) => ({ value: one, label: t(`domain.${one}`, { defaultValue: one }) }))]}
            aria-label={t("wall.domain")}
          />
        </div>
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
    const known = heard.ring.length ? heard : (stream.latest ?? UNKNOWN);
    const color = COLORS[known.flag];
    if (value.current) value.current.textContent = showIn(known.value, chooseScale(stream.unit, known.value), locale);
    if (flag.current) {
      flag.current.textContent = known.flag === "normal" ? "" : t(`flag.${known.flag}`);
      flag.current.style.color = `var(${color})`;
    }
    drawTile(canvas.current, pulse.course(stream.name, PAST_S), color);
  });
  useEffect(() => {
    draw();
    return pulse.onDraw(stream.name, () => draw());
  }, [pulse, stream.name]);
  return (
    <UnstyledButton className={classes.tile} onClick={onChoose} aria-label={t("wall.choose", { stream: stream.title })}>
      <span className={classes.name}>{stream.title}</span>
      <span ref={value} className={`kw-number ${classes.value}`} />
      <canvas ref={canvas} width={WIDTH * 2} height={HEIGHT * 2} className={classes.canvas} aria-hidden />
      <span ref={flag} className={classes.flag} />
    </UnstyledButton>
  );
}
