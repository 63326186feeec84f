// The notification centre: unread first, live.

import { ActionIcon, Anchor, Button, Group, Paper, Stack, Text } from "@mantine/core";
import { IconCheck, IconTrash } from "@tabler/icons-react";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Age } from "~/ui/lasting";
import { Severity } from "~/ui/severity";
import { Empty, Shown } from "~/ui/states";
import { tellFailure } from "~/ui/tell";
import { markAllRead, markRead, noticesQuery, remove, type Notice } from "./queries";

function useChange<V>(change: (wanted: V) => Promise<unknown>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onError: tellFailure,
    onSettled: () => queries.invalidateQueries({ queryKey: ["notifications"] }),
  });
}

/** Marks everything as read. */
export function ReadAll() {
  const { t } = useWords("notifications");
  const { data } = useInfiniteQuery(noticesQuery);
  const reading = useChange(markAllRead);
  const unread = data?.pages[0]?.unread ?? 0;
  return (
    <Button variant="default" size="xs" leftSection={<IconCheck size={14} />} disabled={!unread} loading={reading.isPending} onClick={() => reading.mutate()}>
      {t("read-all")}
    </Button>
  );
}

export function Inbox() {
  const { t } = useWords("notifications");
  const asked = useInfiniteQuery(noticesQuery);
  return (
    <Stack gap="sm">
      <Shown of={asked} height={400}>
        {(data) => {
          const notices = data.pages.flatMap((page) => page.items);
          if (!notices.length) {
            return (
              <Empty title={t("empty.title")} action={<Button component={Link} to="/settings" search={{ tab: "notifications" } as never} variant="default">{t("empty.do")}</Button>}>
                {t("empty.hint")}
              </Empty>
            );
          }
          return (
            <Stack component="ul" gap="xs" p={0} m={0} style={{ listStyle: "none" }}>
              {notices.map((one) => <One key={one.id} notice={one} />)}
            </Stack>
          );
        }}
      </Shown>
      {asked.hasNextPage && (
        <Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>{t("common:table.more")}</Button>
      )}
    </Stack>
  );
}

function One({ notice }: { notice: Notice }) {
  const { t, locale } = useWords("notifications");
  const zone = useZone()(notice.site_id);
  const reading = useChange(markRead);
  const removing = useChange(remove);
  const isUnread = notice.read_at === null;
  const look = () => {
    if (isUnread) reading.mutate(notice.id);
  };
  return (
    <Paper component="li" withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)" style={{ borderInlineStart: `4px solid ${isUnread ? `var(--kw-${notice.severity})` : "var(--kw-edge)"}` }}>
      <Group justify="space-between" wrap="nowrap" align="flex-start" gap="xs">
        <Stack gap={4} style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Severity of={notice.severity} />
            <Text size="xs" c="dimmed" title={showTime(Date.parse(notice.happened_at), zone, locale, true)}><Age of={notice.created_at} locale={locale} /></Text>
            {isUnread && <Text size="xs" fw={700}>{t("unread")}</Text>}
          </Group>
          <Anchor renderRoot={(props) => <Link {...props} to="/alerts/$alert" params={{ alert: notice.alert_id } as never} />} onClick={look} c="var(--kw-text)" fw={isUnread ? 700 : 500}>
            {notice.title}
          </Anchor>
          <Text size="sm">{notice.body}</Text>
          <Text size="sm" c="dimmed">{notice.remedy}</Text>
        </Stack>
        <Group gap={4} wrap="nowrap">
          {isUnread && (
            <ActionIcon variant="subtle" color="gray" aria-label={t("read", { title: notice.title })} loading={reading.isPending} onClick={look}><IconCheck size={18} /></ActionIcon>
          )}
          <ActionIcon variant="subtle" color="gray" aria-label={t("delete", { title: notice.title })} loading={removing.isPending} onClick={() => removing.mutate(notice.id)}><IconTrash size={18} /></ActionIcon>
        </Group>
      </Group>
    </Paper>
  );
}
