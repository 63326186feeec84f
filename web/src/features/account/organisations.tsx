// The organisations of a person: going there, leaving, making one.

import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { chooseOrganisation, type Schemas } from "~/api/client";
import { faultsOf, otherFault } from "~/api/fields";
import { chooseSite } from "~/api/place";
import { sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { SureButton } from "~/ui/sure-button";
import { tellDone, tellFailure } from "~/ui/tell";
import { Invitations } from "./invitations";
import { leave, makeOrganisation } from "./queries";
import { Wrong } from "./wrong";

function goTo(slug: string): void {
  chooseOrganisation(slug);
  chooseSite(null);
  location.assign("/");
}

export function Organisations({ me }: { me: Schemas["Me"] }) {
  const { t } = useWords("account");
  return (
    <>
      <Card title={t("organisations.title")}>
        <Stack gap="md">
          {me.organisations.map((one) => <One key={one.id} organisation={one} person={me.id} />)}
          <NewOrganisation />
        </Stack>
      </Card>
      <Card title={t("invitations.title")}><Invitations onAccepted={() => location.assign("/")} /></Card>
    </>
  );
}

function One({ organisation, person }: { organisation: Schemas["Belonging"]; person: string }) {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const isHere = session?.organisationId === organisation.id;
  const leaving = useMutation({
    mutationFn: () => leave(organisation.id, person),
    onError: tellFailure,
    onSuccess: () => {
      tellDone(t("organisations.left", { name: organisation.name }));
      if (!isHere) return queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
      chooseOrganisation(null);
      chooseSite(null);
      location.assign("/");
    },
  });
  return (
    <Group justify="space-between" gap="xs">
      <div>
        <Text fw={600}>{organisation.name}</Text>
        <Text size="sm" c="dimmed">
          {t("organisations.yours", { role: t(`role.${organisation.role}`) })}
          {organisation.is_personal && ` · ${t("organisations.own")}`}
        </Text>
      </div>
      <Group gap="xs">
        {isHere ? <Text size="sm">{t("organisations.here")}</Text> : <Button size="xs" variant="default" onClick={() => goTo(organisation.slug)}>{t("organisations.go")}</Button>}
        {!organisation.is_personal && (
          <SureButton loading={leaving.isPending} question={t("organisations.leave-sure", { name: organisation.name })} onSure={() => leaving.mutate()}>{t("organisations.leave")}</SureButton>
        )}
      </Group>
    </Group>
  );
}

function NewOrganisation() {
  const { t } = useWords("account");
  const [name, setName] = useState("");
  const making = useMutation({ mutationFn: () => makeOrganisation(name), onSuccess: (made) => goTo(made.slug) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <form onSubmit={submit} aria-label={t("organisations.new")}>
      <Group align="flex-end" gap="xs">
        <TextInput label={t("organisations.name")} required value={name} error={faultsOf(making.error).name} onChange={(event) => setName(event.currentTarget.value)} />
        <Button type="submit" variant="default" loading={making.isPending}>{t("organisations.create")}</Button>
      </Group>
      <Wrong text={otherFault(making.error, ["name"])} />
    </form>
  );
}
