// The chosen site: its name, clock, price, and how its alerts speak.

import { Button, Group, Radio, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { sitesQuery, useSite, type Site } from "~/api/place";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { tellDone } from "~/ui/tell";
import { changeSite } from "./queries";
import { Wrong } from "./wrong";

const FIELDS = ["name", "time_zone", "currency", "price_per_kwh", "voice"];

export function SiteSettings() {
  const { t } = useWords("account");
  const { site } = useSite();
  return <Card title={t("site.title")}>{site ? <Form key={site.id} site={site} /> : <Text size="sm" c="dimmed">{t("site.choose")}</Text>}</Card>;
}

function Form({ site }: { site: Site }) {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const [name, setName] = useState(site.name);
  const [zone, setZone] = useState(site.time_zone);
  const [currency, setCurrency] = useState(site.currency);
  const [price, setPrice] = useState(site.price_per_kwh ?? "");
  const [voice, setVoice] = useState(site.voice);
  const saving = useMutation({
    mutationFn: () => changeSite(site.id, { name, time_zone: zone, currency, price_per_kwh: price.trim().replace(",", ".") || null, voice }),
    onSuccess: () => {
      tellDone(t("site.saved"));
      return queries.invalidateQueries({ queryKey: sitesQuery.queryKey });
    },
  });
  const faults = faultsOf(saving.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  const zones = [...new Set([site.time_zone, "UTC", ...Intl.supportedValuesOf("timeZone")])];
  return (
    <form onSubmit={submit}>
      <Stack gap="sm" maw={420}>
        <TextInput label={t("site.name")} required value={name} error={faults.name} onChange={(event) => setName(event.currentTarget.value)} />
        <Select label={t("site.zone")} searchable limit={100} allowDeselect={false} data={zones} value={zone} error={faults.time_zone} onChange={(chosen) => setZone(chosen ?? zone)} />
        <Group grow align="flex-start">
          <TextInput label={t("site.currency")} required maxLength={3} value={currency} error={faults.currency} onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())} />
          <TextInput label={t("site.price")} inputMode="decimal" description={t("site.price-hint")} inputWrapperOrder={["label", "input", "description", "error"]} value={price} error={faults.price_per_kwh} onChange={(event) => setPrice(event.currentTarget.value)} />
        </Group>
        <Radio.Group label={t("site.voice")} description={t("site.voice-hint")} value={voice} onChange={(chosen) => setVoice(chosen as Site["voice"])}>
          <Group mt="xs">
            <Radio value="plain" label={t("site.plain")} />
            <Radio value="oracle" label={t("site.oracle")} />
          </Group>
        </Radio.Group>
        <Wrong text={otherFault(saving.error, FIELDS)} />
        <Group><Button type="submit" loading={saving.isPending}>{t("common:action.save")}</Button></Group>
      </Stack>
    </form>
  );
}
