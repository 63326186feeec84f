// One device: what it measures, how it is switched, how it fares.

import { Anchor, Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { IconPencil, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deviceQuery, type Device as DeviceShown } from "~/api/devices";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { showAge } from "~/lib/time";
import { useNewest } from "~/live/hooks";
import { Page } from "~/ui/page";
import { Failure, Shown } from "~/ui/states";
import { Controls } from "./controls";
import { DeviceChart } from "./device-chart";
import { DeviceDialog } from "./device-dialog";
import classes from "./devices.module.css";
import { DeviceAlerts, Facts } from "./facts";
import { HealthCard } from "./health-card";
import { useDeleteDevice } from "./queries";
import { StateBadge, StatusBadge } from "./state-badge";
import { TokenCard } from "./token-card";
import { seenOf, useLiveDevice, useNow } from "./use-devices";

const HEIGHT = 480;
const AGES_MS = 5_000;

export function Device({ id }: { id: string }) {
  const { t } = useWords("devices");
  const device = useQuery(deviceQuery(id));
  useLiveDevice(id);
  return (
    <Page title={device.data?.name ?? id} aside={device.data && <Acts device={device.data} />}>
      <Anchor component={Link} to="/devices" size="sm" c="var(--kw-accent)">{t("all")}</Anchor>
      <Shown of={device} height={HEIGHT}>{(found) => <Parts device={found} />}</Shown>
    </Page>
  );
}

function Parts({ device }: { device: DeviceShown }) {
  const { data: session } = useQuery(sessionQuery);
  const { sites } = useSite();
  const site = sites.find((one) => one.id === device.site_id);
  const zone = site?.time_zone ?? "UTC";
  return (
    <Stack gap="md">
      <Line device={device} site={site?.name ?? ""} />
      <DeviceChart device={device.id} zone={zone} />
      <div className={classes.halves}>
        <Stack gap="md">
          <Controls device={device} zone={zone} maySwitch={may(session, "device_state:change")} maySend={may(session, "commands:create")} />
          <TokenCard
            device={device}
            organisation={session?.organisation ?? ""}
            zone={zone}
            mayMake={may(session, "device_tokens:create")}
            mayEnd={may(session, "device_tokens:delete")}
          />
        </Stack>
        <Stack gap="md">
          {may(session, "alerts:read") && <DeviceAlerts device={device.id} zone={zone} />}
          <HealthCard device={device.id} />
          <Facts device={device} site={site?.name ?? device.site_id} zone={zone} />
        </Stack>
      </div>
    </Stack>
  );
}

function Line({ device, site }: { device: DeviceShown; site: string }) {
  const { t, locale } = useWords("devices");
  const now = useNow(AGES_MS);
  useNewest(device.id, "power");
  const seen = seenOf(device);
  return (
    <Group gap="sm">
      <StateBadge state={device.state} />
      <StatusBadge status={device.status} />
      <Text size="sm" c="dimmed">
        {[site, device.room].filter(Boolean).join(" · ")}
        {" · "}
        {seen === null ? t("seen-never") : t("seen", { age: showAge((now - seen) / 1_000, locale) })}
      </Text>
    </Group>
  );
}

function Acts({ device }: { device: DeviceShown }) {
  const { t } = useWords("devices");
  const { data: session } = useQuery(sessionQuery);
  const [opened, open] = useState<"edit" | "delete" | null>(null);
  return (
    <Group gap="xs">
      {may(session, "devices:change") && <Button size="sm" variant="default" leftSection={<IconPencil size={16} />} onClick={() => open("edit")}>{t("common:action.edit")}</Button>}
      {may(session, "devices:delete") && <Button size="sm" variant="default" leftSection={<IconTrash size={16} />} onClick={() => open("delete")}>{t("common:action.delete")}</Button>}
      <DeviceDialog isOpen={opened === "edit"} onClose={() => open(null)} device={device} />
      <Modal opened={opened === "delete"} onClose={() => open(null)} title={t("delete.title", { name: device.name })} closeButtonProps={{ "aria-label": t("common:action.close") }}>
        <Delete device={device} onClose={() => open(null)} />
      </Modal>
    </Group>
  );
}

/** Asks for the id, since all readings go with the device. */
function Delete({ device, onClose }: { device: DeviceShown; onClose: () => void }) {
  const { t } = useWords("devices");
  const go = useNavigate();
  const remove = useDeleteDevice(device.id);
  const [typed, setTyped] = useState("");
  return (
    <Stack>
      <Text>{t("delete.hint")}</Text>
      <TextInput label={t("delete.type", { id: device.id })} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} data-autofocus />
      {remove.error && <Failure error={remove.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>{t("common:action.cancel")}</Button>
        <Button color="red" disabled={typed !== device.id} loading={remove.isPending} onClick={() => remove.mutate(undefined, { onSuccess: () => void go({ to: "/devices" }) })}>{t("common:action.delete")}</Button>
      </Group>
    </Stack>
  );
}
