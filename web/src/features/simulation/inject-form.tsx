// Has something happen: what, how long, and what it does to which stream, shown before it is done.

import { Button, Group, Modal, MultiSelect, NativeSelect, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { Refusal, sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { useInject, type Stream } from "./queries";

const TYPES = ["energy", "operational", "infrastructure", "marketing", "product", "academic", "competitive"] as const;
const HOURS_S = 3_600;

interface Draft {
  readonly title: string;
  readonly type: (typeof TYPES)[number];
  readonly streams: string[];
  readonly factor: number;
  readonly hours: number;
}

const FIRST: Draft = { title: "", type: "energy", streams: [], factor: 1.5, hours: 2 };

export function InjectForm({ streams, opened, onClose }: { streams: readonly Stream[]; opened: boolean; onClose: () => void }) {
  const { t } = useWords("simulation");
  const [draft, setDraft] = useState<Draft>(FIRST);
  const inject = useInject();
  const preview = inject.variables?.preview ? inject.data : undefined;
  const fields = inject.error instanceof Refusal ? inject.error.fields : {};
  const put = (changes: Partial<Draft>) => {
    inject.reset();
    setDraft({ ...draft, ...changes });
  };
  const send = (isPreview: boolean) =>
    inject.mutate(
      {
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
  const isReady = draft.title.trim() !== "" && draft.streams.length > 0;
  return (
    <Modal opened={opened} onClose={close} title={t("inject.title")} size="lg" closeButtonProps={{ "aria-label": t("common:action.close") }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send(false);
        }}
      >
        <Stack gap="sm">
          <TextInput label={t("inject.name")} required maxLength={200} value={draft.title} error={fields.title} onChange={(event) => put({ title: event.currentTarget.value })} data-autofocus />
          <NativeSelect label={t("events.kind")} value={draft.type} onChange={(event) => put({ type: event.currentTarget.value as Draft["type"] })} data={TYPES.map((one) => ({ value: one, label: t(`type.${one}`) }))} />
          <MultiSelect label={t("inject.streams")} searchable required value={draft.streams} error={fields.streams} onChange={(chosen) => put({ streams: chosen })} data={streams.map((one) => ({ value: one.name, label: one.title }))} />
          <Group grow>
            <NumberInput label={t("inject.factor")} description={t("inject.factor-hint")} min={0} max={100} step={0.1} value={draft.factor} error={fields.value} onChange={(value) => put({ factor: Number(value) })} />
            <NumberInput label={t("inject.hours")} description={t("inject.hours-hint")} min={0.1} max={744} value={draft.hours} error={fields.lasts_s} onChange={(value) => put({ hours: Number(value) })} />
          </Group>
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
