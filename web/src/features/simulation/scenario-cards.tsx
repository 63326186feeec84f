// Crises to choose from, and the one that goes on: how long it lasts, how it settles, how to end it.

import { Button, Group, Modal, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { showDuration } from "~/lib/time";
import { Card } from "~/ui/card";
import { useBegin, useReset, useStop, type Scenario, type State } from "./queries";
import { outline } from "./settling";

interface Props {
  readonly state: State;
  readonly scenarios: readonly Scenario[];
  readonly mayChange: boolean;
}

type Wish = { kind: "begin"; scenario: Scenario } | { kind: "stop" } | { kind: "reset" };

export function ScenarioCards({ state, scenarios, mayChange }: Props) {
  const { t } = useWords("simulation");
  const [wish, setWish] = useState<Wish | null>(null);
  const active = state.scenario && state.scenario.status !== "settled" ? state.scenario : null;
  const isChanged = state.history === "modified";
  return (
    <Card
      title={t("scenario.title")}
      aside={
        <Button size="xs" variant="outline" color="red" disabled={!mayChange || !isChanged} onClick={() => setWish({ kind: "reset" })}>
          {t("scenario.reset")}
        </Button>
      }
    >
      <Stack gap="md">
        <GoingOn state={state} scenarios={scenarios} mayChange={mayChange} onStop={() => setWish({ kind: "stop" })} />
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
          {scenarios.map((one) => (
            <Paper key={one.id} withBorder p="sm" bg="transparent" bd="1px solid var(--kw-edge)">
              <Stack gap={6} h="100%" justify="space-between">
                <div>
                  <Title order={3} size="h5">{one.name}</Title>
                  <Text size="sm" c="dimmed">{one.description}</Text>
                </div>
                <Group justify="space-between" gap="xs">
                  <Text size="xs" c="dimmed">
                    {t("scenario.lasts", { lasts: showDuration(one.lasts_s), settles: showDuration(one.settles_s) })}
                  </Text>
                  <Button
                    size="xs"
                    disabled={!mayChange || active !== null}
                    aria-label={t("scenario.begin-this", { name: one.name })}
                    onClick={() => setWish({ kind: "begin", scenario: one })}
                  >
                    {t("scenario.begin")}
                  </Button>
                </Group>
              </Stack>
            </Paper>
          ))}
        </SimpleGrid>
      </Stack>
      <Confirmation wish={wish} onClose={() => setWish(null)} />
    </Card>
  );
}

function GoingOn({ state, scenarios, mayChange, onStop }: Props & { onStop: () => void }) {
  const { t } = useWords("simulation");
  const one = state.scenario;
  const about = scenarios.find((known) => known.name === one?.name);
  if (!one || one.status === "settled") {
    return <Text size="sm" role="status">{t(one ? "scenario.settled" : "scenario.none", { name: one?.name })}</Text>;
  }
  const [began, ends, settled, now] = [one.started_at, one.ends_at, one.settled_at, state.now].map((text) => Date.parse(text)) as [number, number, number, number];
  const whole = Math.max(settled - began, 1);
  const part = Math.min(1, Math.max(0, (now - began) / whole));
  return (
    <Paper withBorder p="sm" bg="transparent" bd="1px solid var(--kw-high)">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div role="status">
          <Text fw={650}>{one.name} · {t(`scenario.${one.status}`)}</Text>
          <Text size="sm" c="dimmed">{t("scenario.left", { left: showDuration(one.left_s) })}</Text>
          {one.warnings.map((warning) => <Text key={warning} size="sm">{warning}</Text>)}
        </div>
        <Button size="xs" flex="none" color="red" variant="outline" disabled={!mayChange || one.status !== "active"} onClick={onStop}>
          {t("scenario.stop")}
        </Button>
      </Group>
      <Settling curve={about?.curve ?? "linear"} share={Math.min(1, (ends - began) / whole)} part={part} label={t("scenario.curve", { name: one.name, percent: Math.round(part * 100) })} />
    </Paper>
  );
}

/** The force of a scenario over its time, and where it stands. */
function Settling({ curve, share, part, label }: { curve: Scenario["curve"]; share: number; part: number; label: string }) {
  const points = outline(curve, share).map(([x, y]) => `${(x * 300).toFixed(1)},${(52 - y * 44).toFixed(1)}`);
  return (
    <svg viewBox="0 0 300 56" width="100%" height={56} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,52 ${points.join(" ")} 300,52`} fill="var(--kw-high)" opacity={0.18} />
      <polyline points={points.join(" ")} fill="none" stroke="var(--kw-high)" strokeWidth={2} vectorEffect="non-scaling-stroke" />
      <line x1={part * 300} x2={part * 300} y1={2} y2={54} stroke="var(--kw-text)" strokeWidth={2} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

function Confirmation({ wish, onClose }: { wish: Wish | null; onClose: () => void }) {
  const { t } = useWords("simulation");
  const [begin, stop, reset] = [useBegin(), useStop(), useReset()];
  const error = begin.error ?? stop.error ?? reset.error;
  const isBusy = begin.isPending || stop.isPending || reset.isPending;
  const close = () => {
    [begin, stop, reset].forEach((one) => one.reset());
    onClose();
  };
  const carryOut = () => {
    const then = { onSuccess: close };
    if (wish?.kind === "begin") begin.mutate({ world: wish.scenario.world, scenario_id: wish.scenario.id }, then);
    else if (wish?.kind === "stop") stop.mutate(undefined, then);
    else if (wish) reset.mutate(undefined, then);
  };
  const name = wish?.kind === "begin" ? wish.scenario.name : "";
  return (
    <Modal opened={wish !== null} onClose={close} title={wish ? t(`confirm.${wish.kind}`, { name }) : ""} closeButtonProps={{ "aria-label": t("common:action.close") }}>
      <Stack gap="md">
        <Text size="sm">{wish ? t(`confirm.${wish.kind}-hint`) : ""}</Text>
        {error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(error)}</Text>}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>{t("common:action.cancel")}</Button>
          <Button onClick={carryOut} loading={isBusy} data-autofocus>{t("common:action.confirm")}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
