// How long readings are kept, and the organisation's regions.

import { Button, Group, NumberInput, Progress, Stack, TagsInput, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { Refusal, sentenceOf } from "~/api/problem";
import { may, type Session } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { showFact } from "./facts";
import { healthQuery, organisationQuery, useChangeOrganisation } from "./queries";

export function Keeping({ session }: { session: Session }) {
  const organisation = useQuery(organisationQuery(session.organisationId));
  return <Shown of={organisation} height={300}>{(shown) => <Form key={shown.id} shown={shown} session={session} />}</Shown>;
}

const TIERS = ["retention_raw_days", "retention_hourly_days", "retention_daily_days"] as const;

function Form({ shown, session }: { shown: Schemas["Organisation"]; session: Session }) {
  const { t } = useWords("administration");
  const [draft, setDraft] = useState(shown);
  const change = useChangeOrganisation(shown.id);
  const mayChange = may(session, "organisation:change");
  const fields = change.error instanceof Refusal ? change.error.fields : {};
  const { name, regions, retention_raw_days, retention_hourly_days, retention_daily_days } = draft;
  return (
    <Card title={t("keeping.title")}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate({ name, regions, retention_raw_days, retention_hourly_days, retention_daily_days });
        }}
      >
        <Stack gap="sm" maw={520}>
          <TextInput label={t("keeping.name")} required disabled={!mayChange} value={draft.name} error={fields.name} onChange={(event) => setDraft({ ...draft, name: event.currentTarget.value })} />
          {TIERS.map((tier) => (
            <NumberInput key={tier} label={t(`keeping.${tier}`)} description={t(`keeping.${tier}-hint`)} suffix={t("keeping.days")} min={1} max={36_500} allowDecimal={false} disabled={!mayChange} value={draft[tier]} error={fields[tier]} onChange={(value) => setDraft({ ...draft, [tier]: Number(value) })} />
          ))}
          <TagsInput label={t("keeping.regions")} disabled={!mayChange} value={draft.regions} error={fields.regions} onChange={(regions) => setDraft({ ...draft, regions })} />
          {change.error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(change.error)}</Text>}
          {change.isSuccess && <Text size="sm" role="status">{t("keeping.saved")}</Text>}
          <Group><Button type="submit" disabled={!mayChange} loading={change.isPending}>{t("common:action.save")}</Button></Group>
        </Stack>
      </form>
      <Disk />
    </Card>
  );
}

/** How full the disk is that everything is kept on. */
function Disk() {
  const { t, locale } = useWords("administration");
  const { data: health } = useQuery(healthQuery);
  const disk = health?.disk;
  const used = disk?.used_percent;
  if (typeof used !== "number") return null;
  const sentence = t("keeping.disk-of", { used: showFact("used_percent", used, locale), free: showFact("free_bytes", disk?.free_bytes, locale) });
  return (
    <Stack gap={4} maw={520} mt="lg">
      <Text size="sm" fw={600}>{t("keeping.disk")}</Text>
      <Progress value={used} size="lg" color={used > 90 ? "var(--kw-critical)" : "var(--kw-import)"} aria-label={sentence} />
      <Text size="sm" c="dimmed">{sentence}</Text>
    </Stack>
  );
}
