// One alert in the table.

import { Anchor, Checkbox, Group, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Lasting } from "~/ui/lasting";
import { Severity } from "~/ui/severity";
import { StateBadge } from "./badges";
import type { Alert } from "./queries";

interface RowProps {
  readonly alert: Alert;
  readonly site: string;
  readonly zone: string;
  /** Who looks after it. */
  readonly assignee: string;
  /** Null where the reader may not act. */
  readonly isSelected: boolean | null;
  readonly onSelect: (isSelected: boolean) => void;
}

export function Row({ alert, site, zone, assignee, isSelected, onSelect }: RowProps) {
  const { t, locale } = useWords("alerts");
  const thing = alert.device_name ?? alert.device;
  return (
    <Table.Tr bg={isSelected ? "var(--kw-grid)" : undefined}>
      {isSelected !== null && (
        <Table.Td w={36}>
          <Checkbox size="xs" aria-label={t("select", { title: alert.title })} checked={isSelected} disabled={alert.status !== "open"} onChange={(event) => onSelect(event.currentTarget.checked)} />
        </Table.Td>
      )}
      <Table.Td w={116} style={{ verticalAlign: "top" }}><Severity of={alert.severity} /></Table.Td>
      <Table.Td>
        <Anchor renderRoot={(props) => <Link {...props} to="/alerts/$alert" params={{ alert: alert.id } as never} />} c="var(--kw-text)" fw={550} data-alert={alert.id}>
          {alert.title}
        </Anchor>
        <Text size="xs" c="dimmed">
          {t(`kind.${alert.kind}`)} · {thing ? `${thing} · ` : ""}{site}
        </Text>
        <Group gap={6} hiddenFrom="md" mt={4}>
          <StateBadge alert={alert} />
          <Text size="xs" component="span"><Lasting since={alert.since} until={alert.resolved_at} /></Text>
        </Group>
      </Table.Td>
      <Table.Td visibleFrom="md" className="kw-number">{showTime(Date.parse(alert.since), zone, locale)}</Table.Td>
      <Table.Td visibleFrom="md"><Lasting since={alert.since} until={alert.resolved_at} /></Table.Td>
      <Table.Td visibleFrom="md"><StateBadge alert={alert} /></Table.Td>
      <Table.Td visibleFrom="md">{assignee}</Table.Td>
    </Table.Tr>
  );
}
