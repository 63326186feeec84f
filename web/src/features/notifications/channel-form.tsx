// Making or changing a channel.

import { Anchor, Button, Checkbox, Group, Modal, Select, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { severityChoices } from "~/ui/severity-choices";
import { channelsQuery, keepChannel, type Channel, type ChannelWanted } from "./queries";

const FIELDS = ["name", "address", "severity"];
const EXAMPLES = ["ntfys://ntfy.sh/my-topic", "tgram://bottoken/chat", "jsons://hook.example.org/path"];

function begun(channel: Channel | null, email: string | undefined): ChannelWanted {
  return {
    name: channel?.name ?? "",
    address: channel || !email ? "" : `mailto:${email}`,
    severity: channel?.severity ?? "low",
    enabled: channel?.enabled ?? true,
    whole_organisation: channel?.whole_organisation ?? false,
  };
}

/** channel: to be changed; null: a new one. */
export function ChannelForm({ channel, onClose }: { channel: Channel | null; onClose: () => void }) {
  const { t } = useWords("notifications");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const isKey = session?.me === null;
  const [wanted, setWanted] = useState(() => ({ ...begun(channel, session?.me?.email), ...(isKey ? { whole_organisation: true } : {}) }));
  const keeping = useMutation({
    mutationFn: () => keepChannel(channel?.id ?? null, wanted),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: channelsQuery.queryKey });
      onClose();
    },
  });
  const faults = faultsOf(keeping.error);
  const change = (changes: Partial<ChannelWanted>) => setWanted({ ...wanted, ...changes });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    keeping.mutate();
  };
  const other = otherFault(keeping.error, FIELDS);
  return (
    <Modal opened onClose={onClose} title={t(channel ? "channel.change" : "channel.new")} closeButtonProps={{ "aria-label": t("common:action.close") }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <TextInput label={t("channel.name")} required data-autofocus value={wanted.name} error={faults.name} onChange={(event) => change({ name: event.currentTarget.value })} />
          <TextInput label={t("channel.address")} description={t(channel ? "channel.address-kept" : "channel.address-hint")} required={!channel} placeholder={channel?.address} value={wanted.address} error={faults.address} autoComplete="off" spellCheck={false} onChange={(event) => change({ address: event.currentTarget.value })} />
          <Text size="xs" c="dimmed">
            {t("channel.examples")} {EXAMPLES.map((one) => <span key={one}><code>{one}</code> </span>)}
            <Anchor size="xs" underline="always" href="https://github.com/caronc/apprise/wiki" rel="noreferrer" target="_blank">{t("channel.all")}</Anchor>
          </Text>
          <Select label={t("channel.severity")} allowDeselect={false} data={severityChoices(t)} value={wanted.severity} onChange={(severity) => change({ severity: (severity ?? "low") as ChannelWanted["severity"] })} />
          <Switch label={t("channel.enabled")} checked={wanted.enabled} onChange={(event) => change({ enabled: event.currentTarget.checked })} />
          {!channel && !isKey && may(session, "organisation_channels:change") && (
            <Checkbox label={t("channel.whole")} checked={wanted.whole_organisation} onChange={(event) => change({ whole_organisation: event.currentTarget.checked })} />
          )}
          {other && <Text size="sm" c="var(--kw-critical)" role="alert">{other}</Text>}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>{t("common:action.cancel")}</Button>
            <Button type="submit" loading={keeping.isPending}>{t("common:action.save")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
