// Maintenance windows: times in which alerts are written down and nobody is told.

import { Button, Group, Paper, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { useNames } from "~/api/people";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { thingsQuery } from "~/api/things";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { useNow } from "~/ui/lasting";
import { Empty, Loading, Shown } from "~/ui/states";
import { SureButton } from "~/ui/sure-button";
import { tellFailure } from "~/ui/tell";
import { makeWindow, removeWindow, windowsQuery, type Window } from "./queries";
import { fromField, toField } from "./wall";

const HOUR_MS = 3_600_000;
const KINDS = ["rule", "phantom_load", "spike", "ghost_walk", "high_consumption", "zero_consumption", "negative_consumption", "offline"] as const;

export function Windows() {
  const { t } = useWords("rules");
  const { data: session } = useQuery(sessionQuery);
  const { isPending } = useSite();
  const asked = useQuery(windowsQuery);
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">{t("window.hint")}</Text>
      {may(session, "maintenance_windows:create") && (isPending ? <Loading height={150} /> : <NewWindow />)}
      <Shown of={asked} height={200}>
        {(windows) =>
          windows.length ? <Stack gap="xs">{windows.map((one) => <One key={one.id} window={one} />)}</Stack> : <Empty title={t("window.none")} />
        }
      </Shown>
    </Stack>
  );
}

/** Gives what a window is about. */
function useSubject(): (window: Window) => string {
  const { t } = useWords("rules");
  const { sites } = useSite();
  const { data: things = [] } = useQuery(thingsQuery);
  return (window) => {
    const parts = [
      window.device_id && (things.find((one) => one.id === window.device_id)?.name ?? window.device_id),
      window.site_id && (sites.find((one) => one.id === window.site_id)?.name ?? ""),
      window.kind && t(window.kind === "rule" || window.kind === "model" ? `window.${window.kind}` : `detector.${window.kind}.name`),
      window.rule_id && t("window.one-rule"),
    ].filter(Boolean);
    return parts.length ? parts.join(" · ") : t("window.everything");
  };
}

function One({ window }: { window: Window }) {
  const { t, locale } = useWords("rules");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const zone = useZone()(window.site_id);
  const now = useNow();
  const subject = useSubject();
  const nameOf = useNames();
  const removing = useMutation({
    mutationFn: () => removeWindow(window.id),
    onError: tellFailure,
    onSettled: () => queries.invalidateQueries({ queryKey: windowsQuery.queryKey }),
  });
  const [startMs, endMs] = [Date.parse(window.starts_at), Date.parse(window.ends_at)];
  const word = now < startMs ? "coming" : now < endMs ? "holds" : "over";
  return (
    <Paper withBorder p="sm" bg="var(--kw-card)" bd="1px solid var(--kw-edge)">
      <Group justify="space-between" gap="xs">
        <div>
          <Text fw={600}>{subject(window)}</Text>
          <Text size="sm" className="kw-number">{showTime(startMs, zone, locale)} – {showTime(endMs, zone, locale)} · {t(`window.${word}`)}</Text>
          <Text size="sm" c="dimmed">{[window.reason, nameOf(window.made_by)].filter(Boolean).join(" · ")}</Text>
        </div>
        {may(session, "maintenance_windows:delete") && (
          <SureButton question={t("window.delete-sure")} onSure={() => removing.mutate()}>{t("common:action.delete")}</SureButton>
        )}
      </Group>
    </Paper>
  );
}

function NewWindow() {
  const { t } = useWords("rules");
  const queries = useQueryClient();
  const { site, sites } = useSite();
  const { data: things = [] } = useQuery(thingsQuery);
  const [siteId, setSiteId] = useState<string | null>(site?.id ?? null);
  const [device, setDevice] = useState<string | null>(null);
  const [kind, setKind] = useState<string | null>(null);
  const [reason, setReason] = useState("");
  const zone = useZone()(siteId);
  const [start, setStart] = useState(() => toField(Date.now(), zone));
  const [end, setEnd] = useState(() => toField(Date.now() + HOUR_MS, zone));
  const making = useMutation({
    mutationFn: () =>
      makeWindow({
        site_id: siteId, device_id: device, kind: kind as Window["kind"], reason: reason.trim() || null,
        starts_at: new Date(fromField(start, zone) ?? Date.now()).toISOString(), ends_at: new Date(fromField(end, zone) ?? Date.now()).toISOString(),
      }),
    onSuccess: () => {
      setReason("");
      return queries.invalidateQueries({ queryKey: windowsQuery.queryKey });
    },
  });
  const faults = faultsOf(making.error);
  const other = otherFault(making.error, ["starts_at", "ends_at", "reason"]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  const clear = { "aria-label": t("form.any") };
  return (
    <form onSubmit={submit} aria-label={t("window.new")}>
      <Group gap="xs" align="flex-end">
        <TextInput type="datetime-local" label={t("window.from")} description={zone} required value={start} error={faults.starts_at} onChange={(event) => setStart(event.currentTarget.value)} />
        <TextInput type="datetime-local" label={t("window.until")} description={zone} required value={end} error={faults.ends_at} onChange={(event) => setEnd(event.currentTarget.value)} />
        <Select label={t("common:place.site")} w={170} clearable clearButtonProps={clear} placeholder={t("form.any")} data={sites.map((one) => ({ value: one.id, label: one.name }))} value={siteId} onChange={setSiteId} />
        <Select label={t("window.device")} w={190} clearable clearButtonProps={clear} searchable limit={50} placeholder={t("form.any")} data={things.map((one) => ({ value: one.id, label: one.name }))} value={device} onChange={setDevice} />
        <Select label={t("window.kind")} w={190} clearable clearButtonProps={clear} placeholder={t("form.any")} data={KINDS.map((value) => ({ value, label: t(value === "rule" ? "window.rule" : `detector.${value}.name`) }))} value={kind} onChange={setKind} />
        <TextInput label={t("window.reason")} w={220} value={reason} error={faults.reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <Button type="submit" loading={making.isPending}>{t("window.make")}</Button>
      </Group>
      {other && <Text size="sm" c="var(--kw-critical)" role="alert" mt="xs">{other}</Text>}
    </form>
  );
}
