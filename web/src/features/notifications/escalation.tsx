// Who is told next while nobody looks after an alert.

import { ActionIcon, Button, Group, NumberInput, Select, Stack, Text } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { usePeople } from "~/api/people";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { channelsQuery, type Wishes } from "./queries";
import { changeStep, targetOf, withoutStep, withStep } from "./wishes";

export function Escalation({ wishes, onChange }: { wishes: Wishes; onChange: (wishes: Wishes) => void }) {
  const { t } = useWords("notifications");
  const { data: session } = useQuery(sessionQuery);
  const { data: channels = [] } = useQuery(channelsQuery);
  const people = usePeople();
  const own = channels.filter((one) => !one.whole_organisation);
  const others = may(session, "organisation_channels:change") ? people.filter((one) => one.user_id !== session?.me?.id) : [];
  const targets = [
    { group: t("wish.own-channels"), items: own.map((one) => ({ value: `channel:${one.id}`, label: one.name })) },
    { group: t("wish.members"), items: others.map((one) => ({ value: `user:${one.user_id}`, label: one.name || one.email })) },
  ].filter((one) => one.items.length);
  return (
    <Stack gap="xs">
      <Text size="sm" fw={500}>{t("wish.escalation")}</Text>
      <Text size="xs" c="dimmed">{t("wish.escalation-hint")}</Text>
      {(wishes.escalation ?? []).map((step, at) => (
        <Group key={at} gap="xs" align="flex-end">
          <NumberInput label={t("wish.after")} size="xs" w={110} min={1} max={10_080} value={step.after_minutes} onChange={(minutes) => onChange(changeStep(wishes, at, { minutes: Number(minutes) || 1 }))} />
          <Select label={t("wish.tell")} size="xs" w={200} searchable allowDeselect={false} data={targets} value={targetOf(step)} onChange={(target) => target && onChange(changeStep(wishes, at, { target }))} />
          <ActionIcon variant="subtle" color="gray" aria-label={t("wish.drop", { at: at + 1 })} onClick={() => onChange(withoutStep(wishes, at))}><IconTrash size={16} /></ActionIcon>
        </Group>
      ))}
      <Group>
        <Button size="xs" variant="default" disabled={!targets.length} onClick={() => onChange(changeStep(withStep(wishes, null), wishes.escalation?.length ?? 0, { target: targets[0]?.items[0]?.value }))}>
          {t("wish.add-step")}
        </Button>
        {!targets.length && <Text size="xs" c="dimmed">{t("wish.no-target")}</Text>}
      </Group>
    </Stack>
  );
}
