// The part of the form that reads as a sentence: when what of whom is how, for how long, what happens.

import { Group, MultiSelect, NumberInput, Select, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSite } from "~/api/place";
import { metricsQuery, thingsQuery } from "~/api/things";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { severityChoices } from "~/ui/severity-choices";
import type { SeverityName } from "~/ui/severity";
import { hasLimit, hasMetric, INPUTS, OPERATORS, SCOPES, unitOf, type Draft, type Input, type Operator, type Scope } from "./draft";
import { LengthField } from "./length-field";
import { channelsQuery } from "./queries";

export interface PartProps {
  readonly draft: Draft;
  readonly faults: Readonly<Record<string, string>>;
  readonly change: (changes: Partial<Draft>) => void;
}

const WAYS = ["email", "telegram", "whatsapp", "sms", "webhook"] as const;

function Word({ children }: { children: string }) {
  return <Text component="span" lh="36px">{children}</Text>;
}

export function SentenceForm(props: PartProps) {
  const { t } = useWords("rules");
  const { draft, faults, change } = props;
  return (
    <Group gap="xs" align="flex-start" role="group" aria-label={t("form.sentence")}>
      <Word>{t("form.when")}</Word>
      <What {...props} />
      <Word>{t("form.of")}</Word>
      <Whom {...props} />
      {hasLimit(draft.input) && <Limit {...props} />}
      <Word>{t(hasLimit(draft.input) ? "form.for" : "form.silent")}</Word>
      <LengthField key={draft.input} label={t("form.length")} seconds={draft.forS} error={faults.for_s} onChange={(forS) => change({ forS })} />
      <Word>{t("form.raise")}</Word>
      <Select aria-label={t("form.severity")} w={120} allowDeselect={false} data={severityChoices(t)} value={draft.severity} onChange={(severity) => change({ severity: (severity ?? "high") as SeverityName })} />
      <Word>{t("form.tell")}</Word>
      <Channels {...props} />
    </Group>
  );
}

function What({ draft, faults, change }: PartProps) {
  const { t } = useWords("rules");
  const { data: metrics = [] } = useQuery(metricsQuery);
  const names = [...new Set([...metrics.map((one) => one.name), draft.metric])].filter((one) => one && one !== "energy_wh");
  const data = names.map((value) => ({ value, label: metricName(value, t) }));
  const isSilence = draft.input === "no_data";
  return (
    <>
      <Select aria-label={t("form.input")} w={170} allowDeselect={false} data={INPUTS.map((value) => ({ value, label: t(`input.${value}`) }))} value={draft.input} error={faults.input} onChange={(input) => change({ input: (input ?? "value") as Input })} />
      {hasMetric(draft.input) && (
        <Select aria-label={t("form.metric")} w={170} searchable clearable={isSilence} allowDeselect={isSilence} clearButtonProps={{ "aria-label": t("form.any") }} placeholder={t("form.any")} data={data} value={draft.metric || null} error={faults.metric} onChange={(metric) => change({ metric: metric ?? "" })} />
      )}
    </>
  );
}

function Whom({ draft, faults, change }: PartProps) {
  const { t } = useWords("rules");
  const { data: things = [] } = useQuery(thingsQuery);
  const { sites } = useSite();
  const choices: Record<Scope, { value: string; label: string }[]> = {
    all: [],
    device: things.map((one) => ({ value: one.id, label: one.name === one.id ? one.id : `${one.name} (${one.id})` })),
    site: sites.map((one) => ({ value: one.id, label: one.name })),
    type: [...new Set(things.map((one) => one.type))].sort().map((value) => ({ value, label: value })),
  };
  const found = choices[draft.scope];
  const data = draft.subject && !found.some((one) => one.value === draft.subject) ? [...found, { value: draft.subject, label: draft.subject }] : found;
  const fault = faults.device_id ?? faults.site_id ?? faults.device_type;
  return (
    <>
      <Select aria-label={t("form.scope")} w={170} allowDeselect={false} data={SCOPES.map((value) => ({ value, label: t(`scope.${value}`) }))} value={draft.scope} onChange={(scope) => change({ scope: (scope ?? "all") as Scope, subject: "" })} />
      {draft.scope !== "all" && (
        <Select aria-label={t(`form.subject-${draft.scope}`)} w={210} searchable allowDeselect={false} limit={50} placeholder={t("form.choose")} data={data} value={draft.subject || null} error={fault} onChange={(subject) => change({ subject: subject ?? "" })} />
      )}
    </>
  );
}

function Limit({ draft, faults, change }: PartProps) {
  const { t } = useWords("rules");
  const { data: metrics = [] } = useQuery(metricsQuery);
  const unit = unitOf(draft.input, metrics.find((one) => one.name === draft.metric)?.unit ?? "");
  return (
    <>
      <Select aria-label={t("form.operator")} w={150} allowDeselect={false} data={OPERATORS.map((value) => ({ value, label: t(`operator.${value}`) }))} value={draft.operator} error={faults.operator} onChange={(operator) => change({ operator: (operator ?? ">") as Operator })} />
      <NumberInput aria-label={t("form.threshold")} w={140} hideControls required suffix={unit && ` ${unit}`} value={draft.threshold} error={faults.threshold} onChange={(value) => change({ threshold: value === "" ? "" : Number(value) })} />
    </>
  );
}

function Channels({ draft, faults, change }: PartProps) {
  const { t } = useWords("rules");
  const { data: channels = [] } = useQuery(channelsQuery);
  const ways = WAYS.map((value) => ({ value: value as string, label: t(`way.${value}`) }));
  const own = channels.map((one) => ({ value: one.id, label: one.name }));
  const known = new Set([...ways, ...own].map((one) => one.value));
  const others = draft.channels.filter((one) => !known.has(one)).map((value) => ({ value, label: value }));
  const data = [
    { group: t("form.channels"), items: [...own, ...others] },
    { group: t("form.ways"), items: ways },
  ].filter((one) => one.items.length);
  return (
    <MultiSelect aria-label={t("form.tells")} miw={220} maw={360} searchable clearable clearButtonProps={{ "aria-label": t("form.by-severity") }} placeholder={draft.channels.length ? undefined : t("form.by-severity")} data={data} value={[...draft.channels]} error={faults.channels} onChange={(chosen) => change({ channels: chosen })} />
  );
}
