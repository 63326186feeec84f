// Has something happen, shown before it is done: what the world knows, or something of one's own with what it does to
// which stream and how long.

import { Button, Group, Modal, MultiSelect, NativeSelect, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Refusal, sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { showDuration } from "~/lib/time";
import { FIRST_WORLD, templatesQuery, useInject, type State, type Stream, type Template } from "./queries";

const TYPES = ["energy", "operational", "infrastructure", "marketing", "product", "academic", "competitive"] as const;
const HOURS_S = 3_600;

interface Draft {
  /** A template's id; none for something of one's own. */
  readonly template: string;
  readonly title: string;
  readonly type: (typeof TYPES)[number];
  readonly streams: string[];
  readonly factor: number;
  readonly hours: number;
}

const FIRST: Draft = { template: "", title: "", type: "energy", streams: [], factor: 1.5, hours: 2 };

interface InjectFormProps {
  readonly state: State;
  readonly streams: readonly Stream[];
  readonly opened: boolean;
  readonly onClose: () => void;
}

export function InjectForm({ state, streams, opened, onClose }: InjectFormProps) {
  const { t } = useWords("simulation");
  const [draft, setDraft] = useState<Draft>(FIRST);
  const inject = useInject(state);
  const { data: templates = [] } = useQuery({ ...templatesQuery(state.world ?? FIRST_WORLD), enabled: opened });
  const template = templates.find((one) => one.id === draft.template);
  const preview = inject.variables?.preview ? inject.data : undefined;
  const fields = inject.error instanceof Refusal ? inject.error.fields : {};
  const put = (changes: Partial<Draft>) => {
    inject.reset();
    setDraft({ ...draft, ...changes });
  };
  const send = (isPreview: boolean) =>
    inject.mutate(
      template
        ? { template: template.id, preview: isPreview }
        : {
            title: draft.title,
            type: draft.type,
            lasts_s: draft.hours * HOURS_S,
            effects: [{ streams: draft.streams, how: "multiply", value: draft.factor }],
            preview: isPreview,
          },
      { onSuccess: () => !isPreview && close() },
    );
  const close = () => {
    inject.reset();
    setDraft(FIRST);
    onClose();
  };
  const isReady = template !== undefined || (draft.title.trim() !== "" && draft.streams.length > 0);
  return (
    <Modal opened={opened} onClose={close} title={t("inject.title")} size="lg" closeButtonProps={{ "aria-label": t("common:action.close") }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send(false);
        }}
      >
        <Stack gap="sm">
          <NativeSelect label={t("inject.template")} value={draft.template} onChange={(event) => put({ template: event.currentTarget.value })} data={[{ value: "", label: t("inject.own") }, ...templates.map((one) => ({ value: one.id, label: one.title }))]} data-autofocus />
          {template ? (
            <Known template={template} streams={streams} />
          ) : (
            <>
              <TextInput label={t("inject.name")} required maxLength={200} value={draft.title} error={fields.title} onChange={(event) => put({ title: event.currentTarget.value })} />
              <NativeSelect label={t("events.kind")} value={draft.type} onChange={(event) => put({ type: event.currentTarget.value as Draft["type"] })} data={TYPES.map((one) => ({ value: one, label: t(`type.${one}`) }))} />
              <MultiSelect label={t("inject.streams")} searchable required value={draft.streams} error={fields.streams} onChange={(chosen) => put({ streams: chosen })} data={streams.map((one) => ({ value: one.name, label: one.title }))} />
              <Group grow>
                <NumberInput label={t("inject.factor")} description={t("inject.factor-hint")} min={0} max={100} step={0.1} value={draft.factor} error={fields.value} onChange={(value) => put({ factor: Number(value) })} />
                <NumberInput label={t("inject.hours")} description={t("inject.hours-hint")} min={0.1} max={744} value={draft.hours} error={fields.lasts_s} onChange={(value) => put({ hours: Number(value) })} />
              </Group>
            </>
          )}
          {preview && (
            <Text size="sm" role="status">
              {t("inject.preview", { count: preview.streams.length, direction: t(`direction.${preview.direction}`), magnitude: t(`magnitude.${preview.magnitude}`) })}
            </Text>
          )}
          {inject.error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(inject.error)}</Text>}
          <Group justify="flex-end">
            <Button variant="default" disabled={!isReady} loading={inject.isPending} onClick={() => send(true)}>{t("inject.show")}</Button>
            <Button type="submit" disabled={!isReady} loading={inject.isPending}>{t("inject.do")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** What the world knows of something that may happen. */
function Known({ template, streams }: { template: Template; streams: readonly Stream[] }) {
  const { t } = useWords("simulation");
  const titles = streams.filter((one) => template.streams.includes(one.name)).map((one) => one.title);
  return (
    <Stack gap={4}>
      <Text size="sm">{template.description}</Text>
      <Text size="sm" c="dimmed">{t("inject.known", { kind: t(`type.${template.type}`), lasts: showDuration(template.lasts_s), streams: titles.join(", ") || t("inject.nothing") })}</Text>
    </Stack>
  );
}
