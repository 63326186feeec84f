// The simulated clock and the world that is played.

import { Button, Group, NativeSelect, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { useNow } from "~/ui/lasting";
import { stateQuery, useChange, worldsQuery, type State } from "./queries";

const SPEEDS = [0, 1, 60, 600, 3_600];
const STEP_S = 3_600;

/** The simulated now, once a second: it goes on between two looks at the state. */
function useSimulatedNow({ now, speed }: State): number {
  const { dataUpdatedAt } = useQuery(stateQuery);
  return Date.parse(now) + Math.max(0, useNow() - dataUpdatedAt) * speed;
}

export function ClockCard({ state, zone, mayChange }: { state: State; zone: string; mayChange: boolean }) {
  const { t, locale } = useWords("simulation");
  const { data: worlds = [] } = useQuery(worldsQuery);
  const change = useChange(state);
  const nowMs = useSimulatedNow(state);
  const problems = worlds.flatMap((one) => one.problems);
  const speeds = SPEEDS.includes(state.speed) ? SPEEDS : [...SPEEDS, state.speed];
  return (
    <Card title={t("clock.title")} aside={<Text className="kw-number" fw={650}>{showTime(nowMs, zone, locale, true)}</Text>}>
      <Stack gap="sm">
        <Group gap="md" align="flex-end">
          <NativeSelect
            label={t("clock.world")}
            value={state.world ?? ""}
            disabled={!mayChange || change.isPending}
            onChange={(event) => change.mutate({ world: event.currentTarget.value })}
            data={[...(state.world ? [] : [{ value: "", label: "–" }]), ...worlds.map((one) => ({ value: one.name, label: one.title }))]}
          />
          <div>
            <Text size="sm" fw={500} id="simulation-speed">{t("clock.speed")}</Text>
            <SegmentedControl
              aria-labelledby="simulation-speed"
              disabled={!mayChange || change.isPending}
              value={String(state.speed)}
              onChange={(speed) => change.mutate({ speed: Number(speed) })}
              data={speeds.map((one) => ({ value: String(one), label: one ? `${one}×` : t("clock.hold") }))}
            />
          </div>
          <Button variant="default" disabled={!mayChange} loading={change.isPending} onClick={() => change.mutate({ step_s: STEP_S })}>
            {t("clock.step")}
          </Button>
        </Group>
        {change.error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(change.error)}</Text>}
        {problems.length > 0 && (
          <Text size="sm" component="pre" c="var(--kw-high)" style={{ whiteSpace: "pre-wrap" }}>{problems.join("\n")}</Text>
        )}
      </Stack>
    </Card>
  );
}
