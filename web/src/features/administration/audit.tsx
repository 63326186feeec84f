// Who did what, and when.

import { Button, NativeSelect, Stack, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sitesQuery } from "~/api/place";
import { may, type Session } from "~/api/session";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { auditQuery, membersQuery } from "./queries";

/** Kinds of what is done, by which the log is filtered. */
const GROUPS = [
  "login", "session", "account", "password", "second_factor", "user", "organisation", "member", "invitation", "assignment", "api_key",
  "device", "device_token", "site", "demo_home", "command", "rule", "detector", "maintenance_window", "notification_channel",
  "dead_letter",
];

export function Audit({ session, zone }: { session: Session; zone: string }) {
  const { t, locale } = useWords("administration");
  const [action, setAction] = useState("");
  const lines = useInfiniteQuery(auditQuery(action));
  const { data: members = [] } = useQuery({ ...membersQuery(session.organisationId), enabled: may(session, "members:read") });
  const { data: sites = [] } = useQuery(sitesQuery);
  const names = new Map([...members.map((one) => [one.user_id, one.name || one.email] as const), ...sites.map((one) => [one.id, one.name] as const)]);
  return (
    <Card
      title={t("audit.title")}
      aside={
        <NativeSelect
          size="xs"
          aria-label={t("audit.action")}
          value={action}
          onChange={(event) => setAction(event.currentTarget.value)}
          data={[{ value: "", label: t("audit.all") }, ...GROUPS.map((value) => ({ value, label: t(`group.${value}`) }))]}
        />
      }
    >
      <Shown of={lines} height={300}>
        {({ pages }) => {
          const items = pages.flatMap((page) => page.items);
          if (!items.length) return <Text size="sm" c="dimmed">{t("audit.none")}</Text>;
          return (
            <Stack gap="sm">
              <WideTable minWidth={620} label={t("audit.title")}>
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t("audit.at")}</Table.Th>
                      <Table.Th>{t("audit.who")}</Table.Th>
                      <Table.Th>{t("audit.action")}</Table.Th>
                      <Table.Th>{t("audit.subject")}</Table.Th>
                      <Table.Th>{t("audit.from")}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {items.map((one) => (
                      <Table.Tr key={one.no}>
                        <Table.Td className="kw-number">{showTime(Date.parse(one.at), zone, locale, true)}</Table.Td>
                        <Table.Td>{(one.user_id && names.get(one.user_id)) || one.actor}</Table.Td>
                        <Table.Td title={one.action}>{t(`did.${one.action}`, { defaultValue: one.action })}</Table.Td>
                        <Table.Td style={{ overflowWrap: "anywhere" }}>{one.subject ? (names.get(one.subject) ?? one.subject) : "–"}</Table.Td>
                        <Table.Td>{one.address ?? "–"}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </WideTable>
              {lines.hasNextPage && (
                <Button variant="default" size="xs" loading={lines.isFetchingNextPage} onClick={() => void lines.fetchNextPage()}>{t("common:table.more")}</Button>
              )}
            </Stack>
          );
        }}
      </Shown>
    </Card>
  );
}
