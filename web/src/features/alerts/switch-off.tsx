// Switching the device of an alert off or on, and what becomes of that, as it happens.

import { Button, Group, Stack, Text } from "@mantine/core";
import { IconPower } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { commandsQuery, deviceQuery, hearsCommands, putState, type Device } from "~/api/devices";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { useEvents, useTopic } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";
import { tellFailure } from "~/ui/tell";
import { commandQuery, sendState } from "./queries";

const ENDED = ["succeeded", "failed", "expired", "cancelled"];
const ASK_AGAIN_MS = 2_000;

type Wanted = "on" | "off";

/** How the device is switched: by a command where it hears any, else only here. */
function useSwitch(device: Device) {
  const queries = useQueryClient();
  const { data: commands, isPending } = useQuery(commandsQuery(device.id));
  const key = deviceQuery(device.id).queryKey;
  const sending = useMutation({ mutationFn: (state: Wanted) => sendState(device.id, state, crypto.randomUUID()), onError: tellFailure });
  const putting = useMutation({
    mutationFn: (state: Wanted) => putState(device.id, state),
    onError: tellFailure,
    onSuccess: (changed) => queries.setQueryData(key, changed),
  });
  const by = hearsCommands(device, commands?.items ?? []) ? sending : putting;
  return { by, sent: sending.data, isBusy: isPending || by.isPending, renew: () => void readAnew(queries, key) };
}

export function SwitchOff({ device }: { device: string }) {
  const { data: session } = useQuery(sessionQuery);
  const { data: thing } = useQuery(deviceQuery(device));
  return may(session, "commands:create") && thing ? <Switching device={thing} /> : null;
}

function Switching({ device }: { device: Device }) {
  const { t } = useWords("alerts");
  const { by, sent, isBusy, renew } = useSwitch(device);
  useEvents(`devices.${device.id}`, ({ type }) => type === "device" && renew(), renew);
  const next = device.state === "off" ? "on" : "off";
  return (
    <Stack gap="xs">
      <Group gap="sm">
        <Button variant="default" leftSection={<IconPower size={16} />} loading={isBusy} onClick={() => by.mutate(next)}>
          {t(`switch.${next}`, { name: device.name })}
        </Button>
        <Text size="sm" c="dimmed">{t("switch.state", { state: t(`switch.is-${device.state}`) })}</Text>
      </Group>
      {sent && <Progress key={sent.id} id={sent.id} onEnd={renew} />}
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
