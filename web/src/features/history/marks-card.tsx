// What is marked on the time axis, as a list.

import { Anchor, Badge, Button, Group, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { Severity } from "~/ui/severity";
import type { Marks } from "./use-marks";

const PORTION = 8;

interface Line {
  readonly key: string;
  readonly ms: number;
  readonly sign: React.ReactNode;
  readonly text: React.ReactNode;
}

function linesOf({ alerts, events }: Marks, word: string): Line[] {
  const found: Line[] = [
    ...alerts.map((one) => ({
      key: one.id,
      ms: Date.parse(one.raised_at),
      sign: <Severity of={one.severity} />,
      text: <Anchor component={Link} to={`/alerts/${one.id}` as never} size="sm" underline="always" c="var(--kw-text)">{one.title}</Anchor>,
    })),
    ...events.map((one) => ({
      key: one.id,
      ms: Date.parse(one.ts),
      sign: <Badge variant="outline" styles={{ root: { color: "var(--kw-quiet)", borderColor: "var(--kw-quiet)" } }}>{word}</Badge>,
      text: <Text size="sm">{one.title}</Text>,
    })),
  ];
  return found.sort((one, other) => other.ms - one.ms);
}

export function MarksCard({ marks, zone }: { marks: Marks; zone: string }) {
  const { t, locale } = useWords("history");
  const [most, setMost] = useState(PORTION);
  const lines = linesOf(marks, t("marks.event"));
  return (
    <Card title={t("marks.title")}>
      {lines.length === 0 && <Text c="dimmed" size="sm">{t("marks.none")}</Text>}
      <Stack gap={6} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
        {lines.slice(0, most).map((line) => (
          <Group key={line.key} component="li" gap="xs" wrap="wrap">
            <Text size="sm" c="dimmed" className="kw-number" miw="9.5rem">{showTime(line.ms, zone, locale)}</Text>
            {line.sign}
            {line.text}
          </Group>
        ))}
      </Stack>
      {lines.length > most && (
        <Button variant="default" size="xs" mt="sm" onClick={() => setMost(most + 4 * PORTION)}>{t("common:table.more")}</Button>
      )}
    </Card>
  );
}
