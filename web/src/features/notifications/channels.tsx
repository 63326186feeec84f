// The ways by which the reader, or the organisation, is told: with a test, and what went over them.

import { Badge, Button, Collapse, Group, Paper, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { sentenceOf } from "~/api/problem";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Severity } from "~/ui/severity";
import { Empty, Shown } from "~/ui/states";
import { SureButton } from "~/ui/sure-button";
import { tellFailure } from "~/ui/tell";
import { ChannelForm } from "./channel-form";
import { Deliveries } from "./deliveries";
import { channelsQuery, removeChannel, tryChannel, type Channel } from "./queries";

export function Channels() {
  const { t } = useWords("notifications");
  const asked = useQuery(channelsQuery);
  const [isNew, { open, close }] = useDisclosure();
  return (
    <Stack gap="sm">
      <Shown of={asked} height={120}>
        {(channels) =>
          channels.length ? (
            <Stack gap="xs">{channels.map((one) => <One key={one.id} channel={one} />)}</Stack>
          ) : (
            <Empty title={t("channel.none")}>{t("channel.none-hint")}</Empty>
          )
        }
      </Shown>
      <Group><Button size="xs" onClick={open}>{t("channel.new")}</Button></Group>
      {isNew && <ChannelForm channel={null} onClose={close} />}
    </Stack>
  );
}

function One({ channel }: { channel: Channel }) {
  const { t } = useWords("notifications");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const [isForm, setIsForm] = useState(false);
  const [isLog, { toggle }] = useDisclosure();
  const trying = useMutation({
    mutationFn: () => tryChannel(channel.id),
    onSettled: () => queries.invalidateQueries({ queryKey: ["channels"] }),
  });
  const removing = useMutation({
    mutationFn: () => removeChannel(channel.id),
    onError: tellFailure,
    onSettled: () => queries.invalidateQueries({ queryKey: ["channels"] }),
  });
  const mayChange = !channel.whole_organisation || may(session, "organisation_channels:change");
  return (
    <Paper withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
      <Group justify="space-between" gap="xs">
        <Said channel={channel} />
        <Group gap="xs">
          {mayChange && <Button size="xs" variant="default" loading={trying.isPending} onClick={() => trying.mutate()} aria-label={t("channel.test-of", { name: channel.name })}>{t("channel.test")}</Button>}
          <Button size="xs" variant="subtle" onClick={toggle} aria-expanded={isLog}>{t("channel.log")}</Button>
          {mayChange && <Button size="xs" variant="subtle" onClick={() => setIsForm(true)}>{t("common:action.edit")}</Button>}
          {mayChange && <SureButton variant="subtle" question={t("channel.delete-sure", { name: channel.name })} onSure={() => removing.mutate()}>{t("common:action.delete")}</SureButton>}
        </Group>
      </Group>
      <Outcome trial={trying.data} error={trying.error} />
      <Collapse expanded={isLog}>{isLog && <Deliveries channel={channel.id} />}</Collapse>
      {isForm && <ChannelForm channel={channel} onClose={() => setIsForm(false)} />}
    </Paper>
  );
}

function Said({ channel }: { channel: Channel }) {
  const { t } = useWords("notifications");
  return (
    <Stack gap={2} style={{ minWidth: 0 }}>
      <Group gap="xs">
        <Text fw={600}>{channel.name}</Text>
        {channel.whole_organisation && <Badge variant="outline" color="gray" styles={{ root: { color: "var(--kw-quiet)", textTransform: "none" } }}>{t("channel.of-all")}</Badge>}
        {!channel.enabled && <Text size="sm" c="dimmed">{t("channel.off")}</Text>}
        {channel.breaker !== "closed" && <Text size="sm" c="var(--kw-high)">{t("channel.failing", { count: channel.failures })}</Text>}
      </Group>
      <Group gap="xs">
        <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>{channel.address}</Text>
        <Text size="xs" c="dimmed">{t("channel.from")}</Text>
        <Severity of={channel.severity} />
      </Group>
    </Stack>
  );
}

/** How a test went. */
function Outcome({ trial, error }: { trial: Schemas["Trial"] | undefined; error: unknown }) {
  const { t } = useWords("notifications");
  return (
    <div role="status">
      {trial && (
        <Text size="sm" mt="xs" c={trial.ok ? "var(--kw-good)" : "var(--kw-high)"}>
          {t(trial.ok ? "channel.went" : "channel.failed")} {trial.detail}
        </Text>
      )}
      {Boolean(error) && <Text size="sm" mt="xs" c="var(--kw-high)">{sentenceOf(error)}</Text>}
    </div>
  );
}
