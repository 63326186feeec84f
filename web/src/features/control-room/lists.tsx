// Who changed most, what is wrong, and which commands are under way.

import { Anchor, Badge, Group, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useWords } from "~/language/use-words";
import { showClock, showTime } from "~/lib/time";
import { show } from "~/lib/units";
import { Card } from "~/ui/card";
import { Severity } from "~/ui/severity";
import { Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import type { Mover } from "./fleet";
import { alarmsQuery, commandsQuery } from "./queries";

export function Movers({ movers }: { movers: readonly Mover[] }) {
  const { t, locale } = useWords("control-room");
  const signed = (watts: number) => `${watts > 0 ? "+" : ""}${show(watts, "W", locale)}`;
  return (
    <Card title={t("movers.title")}>
      {movers.length === 0 ? (
        <Text size="sm" c="dimmed">{t("movers.none")}</Text>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr><Table.Th>{t("movers.device")}</Table.Th><Table.Th ta="right">{t("movers.now")}</Table.Th><Table.Th ta="right">{t("movers.change")}</Table.Th></Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {movers.map(({ device, powerW, changeW }) => (
              <Table.Tr key={device.id}>
                <Table.Td><Anchor component={Link} to={`/devices/${device.id}`}>{device.name}</Anchor></Table.Td>
                <Table.Td ta="right" className="kw-number">{show(powerW, "W", locale)}</Table.Td>
                <Table.Td ta="right" className="kw-number">{signed(changeW)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Card>
  );
}

export function Alarms({ zone }: { zone: string }) {
  const { t, locale } = useWords("control-room");
  const alarms = useQuery(alarmsQuery);
  return (
    <Card title={t("alarms.title")} aside={<Anchor component={Link} to="/alerts" size="sm">{t("alarms.all")}</Anchor>}>
      <Shown of={alarms} height={160}>
        {(items) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed">{t("alarms.none")}</Text>
          ) : (
            items.map((one) => (
              <Group key={one.id} justify="space-between" wrap="nowrap" py={4}>
                <Group gap="xs" wrap="nowrap" style={{ minWidth: 0 }}>
                  <Severity of={one.severity as never} />
                  <Anchor component={Link} to={`/alerts/${one.id}`} size="sm" truncate>{one.title}</Anchor>
                </Group>
                <Text size="sm" c="dimmed" className="kw-number">{showClock(Date.parse(one.raised_at), zone, locale)}</Text>
              </Group>
            ))
          )
        }
      </Shown>
    </Card>
  );
}

export function CommandQueue({ zone }: { zone: string }) {
  const { t, locale } = useWords("control-room");
  const commands = useQuery(commandsQuery);
  return (
    <Card title={t("commands.title")}>
      <Shown of={commands} height={160}>
        {(items) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed">{t("commands.none")}</Text>
          ) : (
            <WideTable minWidth={420} label={t("commands.title")}>
              <Table>
                <Table.Thead>
                  <Table.Tr><Table.Th>{t("commands.at")}</Table.Th><Table.Th>{t("movers.device")}</Table.Th><Table.Th>{t("commands.name")}</Table.Th><Table.Th>{t("commands.status")}</Table.Th></Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((one) => (
                    <Table.Tr key={one.id}>
                      <Table.Td className="kw-number">{showTime(Date.parse(one.created_at), zone, locale, true)}</Table.Td>
                      <Table.Td><Anchor component={Link} to={`/devices/${one.device}`}>{one.device}</Anchor></Table.Td>
                      <Table.Td>{one.name}</Table.Td>
                      <Table.Td><Badge variant="outline" styles={{ root: { color: "var(--kw-text)", textTransform: "none" } }}>{t(`status.${one.status}`)}</Badge></Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </WideTable>
          )
        }
      </Shown>
    </Card>
  );
}
