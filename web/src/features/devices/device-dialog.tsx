// Makes a device, or changes one. What the server finds wrong stands at its field.

import { Autocomplete, Button, Group, JsonInput, Modal, NumberInput, Select, SimpleGrid, Stack, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { Device } from "~/api/devices";
import { useSite } from "~/api/place";
import { Refusal } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { Failure } from "~/ui/states";
import { changesOf, fieldsOf, isId, metadataOf, NEW, wantedDevice, type Fields } from "./form";
import { useChangeDevice, useCreateDevice } from "./queries";
import { choicesOf } from "./sieve";

const TYPES = ["appliance", "battery", "boiler", "car", "charger", "dishwasher", "dryer", "fridge", "grid", "heat-pump", "lights", "meter", "solar", "television", "washing-machine"];
const STATUSES: readonly Device["status"][] = ["active", "inactive", "maintenance", "error"];

interface DialogProps {
  readonly isOpen: boolean;
  readonly onClose: () => void;
  /** The device that changes; without it one is made. */
  readonly device?: Device;
  /** Others, whose rooms and types are offered. */
  readonly known?: readonly Device[];
}

export function DeviceDialog({ isOpen, onClose, device, known = [] }: DialogProps) {
  const { t } = useWords("devices");
  const title = device ? t("edit-title", { name: device.name }) : t("create");
  return (
    <Modal opened={isOpen} onClose={onClose} title={title} size="lg" closeButtonProps={{ "aria-label": t("common:action.close") }}>
      {isOpen && <Form device={device} known={known} onClose={onClose} />}
    </Modal>
  );
}

/** The form's fields and what happens when it is sent. */
function useForm(device: Device | undefined, onClose: () => void) {
  const { site } = useSite();
  const go = useNavigate();
  const [typed, setFields] = useState<Fields>(() => (device ? fieldsOf(device) : NEW));
  // The site that is looked at, until another one is chosen.
  const fields = { ...typed, site_id: typed.site_id ?? site?.id ?? null };
  const create = useCreateDevice();
  const change = useChangeDevice(device?.id ?? "");
  const metadata = metadataOf(fields.metadata);
  const { error, isPending } = device ? change : create;

  const send = (event: FormEvent) => {
    event.preventDefault();
    if (metadata === null) return;
    if (device) {
      change.mutate(changesOf(fields, metadata), { onSuccess: onClose });
      return;
    }
    create.mutate(wantedDevice(fields, metadata), {
      onSuccess: (made) => void go({ to: "/devices/$device", params: { device: made.id } }),
    });
  };
  const put = (part: Partial<Fields>) => setFields((before) => ({ ...before, ...part }));
  return { fields, put, send, error, isPending, isMetadataRead: metadata !== null };
}

function Form({ device, known, onClose }: { device: Device | undefined; known: readonly Device[]; onClose: () => void }) {
  const { t } = useWords("devices");
  const { sites } = useSite();
  const { fields, put, send, error, isPending, isMetadataRead } = useForm(device, onClose);
  const wrong = error instanceof Refusal ? error.fields : {};
  const isElsewhere = error !== null && !Object.keys(wrong).some((name) => name in fields);
  return (
    <form onSubmit={send}>
      <Stack gap="sm">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
          {!device && (
            <TextInput label={t("field.id")} description={t("field.id-hint")} value={fields.id} onChange={(event) => put({ id: event.currentTarget.value })} error={wrong.id && (isId(fields.id.trim()) ? wrong.id : t("field.id-wrong"))} required data-autofocus />
          )}
          <TextInput label={t("field.name")} description={device ? undefined : t("field.name-hint")} value={fields.name} onChange={(event) => put({ name: event.currentTarget.value })} error={wrong.name} />
          <Autocomplete label={t("field.type")} data={[...new Set([...TYPES, ...choicesOf(known, "type")])]} value={fields.type} onChange={(type) => put({ type })} error={wrong.type} required />
          <Select label={t("common:place.site")} data={sites.map(({ id, name }) => ({ value: id, label: name }))} value={fields.site_id} onChange={(site_id) => put({ site_id })} error={wrong.site_id} placeholder={t("field.site-hint")} searchable />
          <Autocomplete label={t("field.room")} data={choicesOf(known, "room")} value={fields.room} onChange={(room) => put({ room })} error={wrong.room} />
          <TextInput label={t("field.region")} value={fields.region} onChange={(event) => put({ region: event.currentTarget.value })} error={wrong.region} />
          <NumberInput label={t("field.rated")} suffix=" W" min={0} value={fields.rated_power_w} onChange={(rated_power_w) => put({ rated_power_w })} error={wrong.rated_power_w} />
          <NumberInput label={t("field.idle")} suffix=" W" min={0} value={fields.idle_threshold_w} onChange={(idle_threshold_w) => put({ idle_threshold_w })} error={wrong.idle_threshold_w} />
          <Select label={t("field.status")} data={STATUSES.map((value) => ({ value, label: t(`status.${value}`) }))} value={fields.status} onChange={(status) => put({ status: (status as Device["status"] | null) ?? "active" })} error={wrong.status} allowDeselect={false} />
        </SimpleGrid>
        <JsonInput label={t("field.metadata")} description={t("field.metadata-hint")} autosize minRows={2} value={fields.metadata} onChange={(metadata) => put({ metadata })} error={isMetadataRead ? wrong.metadata : t("field.metadata-wrong")} />
        {isElsewhere && <Failure error={error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>{t("common:action.cancel")}</Button>
          <Button type="submit" loading={isPending}>{t(device ? "common:action.save" : "common:action.create")}</Button>
        </Group>
      </Stack>
    </form>
  );
}
