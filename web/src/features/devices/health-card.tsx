// How well a device reports, and why its score is what it is.

import { Group, RingProgress, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { showDuration } from "~/lib/time";
import { showShare } from "~/lib/units";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { healthQuery, type Health, type HealthPart } from "./queries";

const HEIGHT = 190;
const PARTS = ["uptime", "completeness", "errors", "delay"] as const;

function colorOf(score: number): string {
  if (score >= 90) return "var(--kw-good)";
  return score >= 60 ? "var(--kw-medium)" : "var(--kw-critical)";
}

export function HealthCard({ device }: { device: string }) {
  const { t } = useWords("devices");
  const health = useQuery(healthQuery(device));
  return (
    <Card title={t("health.title")}>
      <div style={{ minHeight: HEIGHT }}>
        <Shown of={health} height={HEIGHT}>{(found) => <Score health={found} />}</Shown>
      </div>
    </Card>
  );
}

function Score({ health }: { health: Health }) {
  const { t, locale } = useWords("devices");
  const { score, reason, cadence_s: cadence } = health;
  const text = score === null ? "–" : Math.round(score).toLocaleString(locale);
  const parts = PARTS.map((name) => ({ name, part: health[name] })).filter((one) => one.part !== null);
  return (
    <>
      <Group wrap="nowrap" align="center" gap="md">
        <RingProgress
          size={96}
          thickness={9}
          rootColor="var(--kw-grid)"
          sections={score === null ? [] : [{ value: score, color: colorOf(score) }]}
          label={<Text ta="center" fw={650} size="lg">{text}</Text>}
          aria-label={t("health.label", { score: text })}
          role="img"
        />
        <div>
          <Text fw={600}>{reason ? t(`health.reason.${reason}`) : t("health.of-100")}</Text>
          {cadence !== null && <Text size="sm" c="dimmed">{t("health.cadence", { time: showDuration(cadence) })}</Text>}
        </div>
      </Group>
      {parts.length > 0 && (
        <Table verticalSpacing={4} className="kw-number" mt="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">{t("health.part")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("health.achieved")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("health.share")}</Table.Th>
              <Table.Th scope="col" ta="end">{t("health.weight")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>{parts.map(({ name, part }) => <Part key={name} name={name} part={part as HealthPart} />)}</Table.Tbody>
        </Table>
      )}
    </>
  );
}

function Part({ name, part }: { name: string; part: HealthPart }) {
  const { t, locale } = useWords("devices");
  const count = (value: number) => value.toLocaleString(locale, { maximumFractionDigits: 0 });
  const achieved = name === "delay" ? t("health.delay", { delay: showDuration(part.achieved), allowed: showDuration(part.expected) }) : t("health.of", { achieved: count(part.achieved), expected: count(part.expected) });
  return (
    <Table.Tr>
      <Table.Td>{t(`health.parts.${name}`)}</Table.Td>
      <Table.Td ta="end">{achieved}</Table.Td>
      <Table.Td ta="end">{showShare(part.share, locale)}</Table.Td>
      <Table.Td ta="end">{showShare(part.weight, locale)}</Table.Td>
    </Table.Tr>
  );
}
