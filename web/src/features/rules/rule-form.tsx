// Making or changing a rule: a sentence, what it would have done, and only then it is kept.

import { Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { tellDone } from "~/ui/tell";
import { Backtest } from "./backtest";
import { draftOf, hasLimit, newDraft, wantedOf, type Draft } from "./draft";
import { LengthField } from "./length-field";
import { keepRule, ruleQuery } from "./queries";
import { SentenceForm } from "./sentence-form";

const FIELDS = ["name", "input", "metric", "operator", "threshold", "clear_threshold", "for_s", "cooldown_s", "channels", "device_id", "site_id", "device_type"];

interface RuleFormProps {
  /** Null: a new rule. */
  readonly id: string | null;
  /** What a new rule is about. */
  readonly device?: string;
  readonly metric?: string;
}

export function RuleForm({ id, device, metric }: RuleFormProps) {
  const asked = useQuery({ ...ruleQuery(id ?? ""), enabled: id !== null });
  if (id === null) return <Form id={null} first={newDraft(device, metric)} />;
  return <Shown of={asked} height={480}>{(rule) => <Form key={rule.id} id={rule.id} first={draftOf(rule)} />}</Shown>;
}

function Form({ id, first }: { id: string | null; first: Draft }) {
  const { t } = useWords("rules");
  const go = useNavigate();
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const [draft, setDraft] = useState(first);
  const [refused, setRefused] = useState<unknown>(null);
  const mayKeep = may(session, id === null ? "rules:create" : "rules:change");
  const change = (changes: Partial<Draft>) => setDraft({ ...draft, ...changes });
  const keeping = useMutation({
    mutationFn: () => keepRule(id, wantedOf(draft)),
    onError: setRefused,
    onSuccess: async () => {
      tellDone(t("saved"));
      await queries.invalidateQueries({ queryKey: ["rules"] });
      void go({ to: "/rules" });
    },
  });
  const faults = faultsOf(refused);
  const other = keeping.isError ? otherFault(refused, FIELDS) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    keeping.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Card title={t("form.title")}>
          <Stack>
            <TextInput label={t("form.name")} placeholder={t("form.name-hint")} maw={420} required value={draft.name} error={faults.name} onChange={(event) => change({ name: event.currentTarget.value })} />
            <SentenceForm draft={draft} faults={faults} change={change} />
            <Group gap="lg" align="flex-start">
              {hasLimit(draft.input) && (
                <NumberInput label={t("form.clear")} description={t("form.clear-hint")} maw={280} value={draft.clear} error={faults.clear_threshold} onChange={(value) => change({ clear: value === "" ? "" : Number(value) })} />
              )}
              <div>
                <Text size="sm" fw={500}>{t("form.cooldown")}</Text>
                <Text size="xs" c="dimmed" mb={5} maw={280}>{t("form.cooldown-hint")}</Text>
                <LengthField label={t("form.cooldown")} seconds={draft.cooldownS} error={faults.cooldown_s} onChange={(cooldownS) => change({ cooldownS })} />
              </div>
            </Group>
          </Stack>
        </Card>
        <Card title={t("try.title")}><Backtest draft={draft} onFault={setRefused} /></Card>
        {other && <Text c="var(--kw-critical)" role="alert">{other}</Text>}
        <Group>
          {mayKeep ? <Button type="submit" loading={keeping.isPending}>{t("form.save")}</Button> : <Text size="sm" c="dimmed">{t("form.look")}</Text>}
          <Button variant="default" onClick={() => void go({ to: "/rules" })}>{t("common:action.back")}</Button>
        </Group>
      </Stack>
    </form>
  );
}
