// Switching the device of an alert off or on, and what becomes of that, as it happens.

import { Button, Group, Stack, Text } from "@mantine/core";
import { IconPower } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { useTopic } from "~/live/hooks";
import { tellFailure } from "~/ui/tell";
import { commandQuery, deviceQuery, setState } from "./queries";

const ENDED = ["succeeded", "failed", "expired", "cancelled"];
const ASK_AGAIN_MS = 2_000;

export function SwitchOff({ device }: { device: string }) {
  const { t } = useWords("alerts");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const { data: thing } = useQuery(deviceQuery(device));
  const sending = useMutation({
    mutationFn: (state: "on" | "off") => setState(device, state, crypto.randomUUID()),
    onError: tellFailure,
  });
  if (!may(session, "commands:create") || !thing) return null;
  const next = thing.state === "off" ? "on" : "off";
  return (
    <Stack gap="xs">
      <Group gap="sm">
        <Button variant="default" leftSection={<IconPower size={16} />} loading={sending.isPending} onClick={() => sending.mutate(next)}>
          {t(`switch.${next}`, { name: thing.name })}
        </Button>
        <Text size="sm" c="dimmed">{t("switch.state", { state: t(`switch.is-${thing.state}`) })}</Text>
      </Group>
      {sending.data && <Progress key={sending.data.id} id={sending.data.id} onEnd={() => void queries.invalidateQueries({ queryKey: deviceQuery(device).queryKey })} />}
    </Stack>
  );
}

function Progress({ id, onEnd }: { id: string; onEnd: () => void }) {
  const { t } = useWords("alerts");
  const { data, refetch } = useQuery({
    ...commandQuery(id),
    refetchInterval: (query) => (ENDED.includes(query.state.data?.status ?? "") ? false : ASK_AGAIN_MS),
  });
  useTopic("commands", (message) => {
    if (message.data.id !== id) return;
    void refetch();
    if (ENDED.includes(String(message.data.status))) onEnd();
  });
  const status = data?.status ?? "queued";
  return (
    <Text size="sm" role="status" mih={22}>
      {t("switch.command")}: {t(`command.${status}`)}
      {data?.detail && ` – ${data.detail}`}
    </Text>
  );
}
