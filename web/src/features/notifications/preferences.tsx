// What the reader wants to be told, and when not.

import { Button, Divider, Group, NumberInput, Select, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { otherFault } from "~/api/fields";
import { useWords } from "~/language/use-words";
import { severityChoices } from "~/ui/severity-choices";
import type { SeverityName } from "~/ui/severity";
import { Shown } from "~/ui/states";
import { tellDone } from "~/ui/tell";
import { BrowserSwitch } from "./browser-switch";
import { Escalation } from "./escalation";
import { keepWishes, wishesQuery, type Wishes } from "./queries";
import { DIGEST, QUIET } from "./wishes";

export function Preferences() {
  const asked = useQuery(wishesQuery);
  return (
    <Stack>
      <BrowserSwitch />
      <Divider />
      <Shown of={asked} height={360}>{(wishes) => <Form before={wishes} />}</Shown>
    </Stack>
  );
}

function Form({ before }: { before: Wishes }) {
  const { t } = useWords("notifications");
  const queries = useQueryClient();
  const [wishes, setWishes] = useState(before);
  const change = (changes: Partial<Wishes>) => setWishes({ ...wishes, ...changes });
  const keeping = useMutation({
    mutationFn: () => keepWishes(wishes),
    onSuccess: (kept) => {
      queries.setQueryData(wishesQuery.queryKey, kept);
      tellDone(t("wish.saved"));
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    keeping.mutate();
  };
  const wrong = otherFault(keeping.error, []);
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Select label={t("wish.severity")} maw={260} allowDeselect={false} data={severityChoices(t)} value={wishes.severity} onChange={(severity) => change({ severity: (severity ?? "low") as SeverityName })} />
        <QuietHours wishes={wishes} change={change} />
        <Digest wishes={wishes} change={change} />
        <Group gap="sm" align="flex-end">
          <NumberInput label={t("wish.storm-most")} w={180} min={1} max={1000} value={wishes.storm?.most ?? 10} onChange={(most) => change({ storm: { most: Number(most) || 1, minutes: wishes.storm?.minutes ?? 5 } })} />
          <NumberInput label={t("wish.storm-minutes")} w={180} min={1} max={1440} value={wishes.storm?.minutes ?? 5} onChange={(minutes) => change({ storm: { most: wishes.storm?.most ?? 10, minutes: Number(minutes) || 1 } })} />
          <Text size="xs" c="dimmed" maw={280}>{t("wish.storm-hint")}</Text>
        </Group>
        <Escalation wishes={wishes} onChange={setWishes} />
        {wrong && <Text size="sm" c="var(--kw-critical)" role="alert">{wrong}</Text>}
        <Group><Button type="submit" loading={keeping.isPending}>{t("common:action.save")}</Button></Group>
      </Stack>
    </form>
  );
}

interface PartProps {
  readonly wishes: Wishes;
  readonly change: (changes: Partial<Wishes>) => void;
}

function QuietHours({ wishes, change }: PartProps) {
  const { t } = useWords("notifications");
  const quiet = wishes.quiet_hours ?? null;
  return (
    <Stack gap="xs">
      <Switch label={t("wish.quiet")} description={t("wish.quiet-hint")} checked={quiet !== null} onChange={(event) => change({ quiet_hours: event.currentTarget.checked ? QUIET : null })} />
      {quiet && (
        <Group gap="sm">
          <TextInput type="time" label={t("wish.from")} w={120} value={quiet.start} onChange={(event) => change({ quiet_hours: { ...quiet, start: event.currentTarget.value } })} />
          <TextInput type="time" label={t("wish.until")} w={120} value={quiet.end} onChange={(event) => change({ quiet_hours: { ...quiet, end: event.currentTarget.value } })} />
          <Select label={t("wish.lets-through")} w={190} data={[{ value: "nothing", label: t("wish.nothing") }, ...severityChoices(t)]} allowDeselect={false} value={quiet.lets_through ?? "nothing"} onChange={(severity) => change({ quiet_hours: { ...quiet, lets_through: severity === "nothing" ? null : (severity as SeverityName) } })} />
        </Group>
      )}
    </Stack>
  );
}

function Digest({ wishes, change }: PartProps) {
  const { t } = useWords("notifications");
  const digest = wishes.digest ?? null;
  return (
    <Stack gap="xs">
      <Switch label={t("wish.digest")} description={t("wish.digest-hint")} checked={digest !== null} onChange={(event) => change({ digest: event.currentTarget.checked ? DIGEST : null })} />
      {digest && (
        <Group gap="sm">
          <TextInput type="time" label={t("wish.at")} w={120} value={digest.at} onChange={(event) => change({ digest: { ...digest, at: event.currentTarget.value } })} />
          <Select label={t("wish.up-to")} w={190} allowDeselect={false} data={severityChoices(t)} value={digest.severity} onChange={(severity) => change({ digest: { ...digest, severity: (severity ?? "low") as SeverityName } })} />
        </Group>
      )}
    </Stack>
  );
}
