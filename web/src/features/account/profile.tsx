// The reader's name.

import { Button, Group, Stack, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { Schemas } from "~/api/client";
import { faultsOf, otherFault } from "~/api/fields";
import { sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { tellDone } from "~/ui/tell";
import { rename } from "./queries";
import { Wrong } from "./wrong";

export function Profile({ me }: { me: Schemas["Me"] }) {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const [name, setName] = useState(me.name);
  const saving = useMutation({
    mutationFn: () => rename(name),
    onSuccess: () => {
      tellDone(t("profile.saved"));
      return queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Card title={t("profile.title")}>
      <form onSubmit={submit}>
        <Stack gap="sm" maw={420}>
          <TextInput label={t("field.name")} autoComplete="name" required value={name} error={faultsOf(saving.error).name} onChange={(event) => setName(event.currentTarget.value)} />
          <TextInput label={t("field.email")} description={t("profile.email-hint")} readOnly value={me.email} />
          <Wrong text={otherFault(saving.error, ["name"])} />
          <Group><Button type="submit" loading={saving.isPending} disabled={name === me.name}>{t("common:action.save")}</Button></Group>
        </Stack>
      </form>
    </Card>
  );
}
