// What happened outside: events on a line of time, and as a list.

import { Anchor, Button, Collapse, Group, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { showDay, showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { eventsQuery, type SimulationEvent, type Span } from "./queries";

const COLORS = { info: "var(--kw-low)", warning: "var(--kw-medium)", critical: "var(--kw-critical)" };
const ROWS = 4;

interface Props {
  readonly span: Span;
  readonly zone: string;
  readonly onChoose: (event: string) => void;
  readonly onInject: (() => void) | null;
}

export function EventLine({ span, zone, onChoose, onInject }: Props) {
  const { t, locale } = useWords("simulation");
  const events = useQuery(eventsQuery(span));
  const [isListed, { toggle }] = useDisclosure();
  const [from, to] = [Date.parse(span.start), Date.parse(span.end)];
  return (
    <Card
      title={t("events.title")}
      aside={
        <Group gap="xs">
          <Button size="xs" variant="default" aria-expanded={isListed} onClick={toggle}>{t("common:table.show")}</Button>
          {onInject && <Button size="xs" onClick={onInject}>{t("events.inject")}</Button>}
        </Group>
      }
    >
      <Shown of={events} height={110}>
        {(items) => (
          <>
            <Line items={items} from={from} to={to} label={t("events.line", { count: items.length })} onChoose={onChoose} locale={locale} zone={zone} />
            <Group justify="space-between">
              <Text size="xs" c="dimmed">{showDay(from, zone, locale)}</Text>
              <Text size="xs" c="dimmed">{showDay(to, zone, locale)}</Text>
            </Group>
            <Collapse expanded={isListed}>
              <WideTable minWidth={480} label={t("events.title")}>
                <Table>
                  <Table.Thead>
                    <Table.Tr><Table.Th>{t("causes.when")}</Table.Th><Table.Th>{t("causes.event")}</Table.Th><Table.Th>{t("events.kind")}</Table.Th><Table.Th>{t("events.origin")}</Table.Th></Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {[...items].reverse().slice(0, 100).map((one) => (
                      <Table.Tr key={one.id}>
                        <Table.Td className="kw-number">{showTime(Date.parse(one.ts), zone, locale)}</Table.Td>
                        <Table.Td><Anchor component="button" ta="left" onClick={() => onChoose(one.id)}>{one.title}</Anchor></Table.Td>
                        <Table.Td>{t(`type.${one.type}`)}</Table.Td>
                        <Table.Td>{t(`origin.${one.origin}`)}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </WideTable>
            </Collapse>
          </>
        )}
      </Shown>
    </Card>
  );
}

interface LineProps {
  readonly items: readonly SimulationEvent[];
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly locale: string;
  readonly zone: string;
  readonly onChoose: (event: string) => void;
}

function Line({ items, from, to, label, locale, zone, onChoose }: LineProps) {
  const place = (text: string) => Math.min(1000, Math.max(0, ((Date.parse(text) - from) / (to - from)) * 1000));
  return (
    <svg viewBox="0 0 1000 90" width="100%" height={90} preserveAspectRatio="none" role="img" aria-label={label}>
      <line x1={0} x2={1000} y1={86} y2={86} stroke="var(--kw-edge)" strokeWidth={2} vectorEffect="non-scaling-stroke" />
      {items.map((one, at) => {
        const x = place(one.ts);
        const width = Math.max(place(one.until) - x, 4);
        return (
          <rect key={one.id} x={x} width={width} y={4 + (at % ROWS) * 20} height={14} rx={3} fill={COLORS[one.severity]} opacity={one.origin === "world" ? 0.45 : 1} style={{ cursor: "pointer" }} onClick={() => onChoose(one.id)}>
            <title>{`${one.title} · ${showTime(Date.parse(one.ts), zone, locale)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}
