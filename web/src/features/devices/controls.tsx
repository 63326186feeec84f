// Switching a device, and holding its power. What is sent as a command is followed below.

import { Button, Group, SegmentedControl, Slider, Stack, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { commandsQuery, hearsCommands, type Device } from "~/api/devices";
import { useWords } from "~/language/use-words";
import { show } from "~/lib/units";
import { Card } from "~/ui/card";
import { Failure } from "~/ui/states";
import { Timeline } from "./timeline";
import { useSendCommand, useSetState } from "./queries";

const STATES: readonly Device["state"][] = ["on", "standby", "off"];
const FULL_W = 3_000;

interface ControlsProps {
  readonly device: Device;
  readonly zone: string;
  /** Whether the reader may switch the state that is kept here, and send commands. */
  readonly maySwitch: boolean;
  readonly maySend: boolean;
}

/** How the device is switched: by a command, or only here. */
function useSwitching({ device, maySend }: ControlsProps) {
  const commands = useQuery(commandsQuery(device.id));
  const [chosen, choose] = useState<boolean | null>(null);
  const asCommand = maySend && (chosen ?? hearsCommands(device, commands.data?.items ?? []));
  const setState = useSetState(device.id);
  const send = useSendCommand(device.id);
  const put = (state: string) => {
    if (asCommand) send.mutate({ name: "set_state", arguments: { state } });
    else setState.mutate(state as Device["state"]);
  };
  return { asCommand, choose, put, send, isBusy: setState.isPending, error: setState.error ?? send.error };
}

export function Controls(props: ControlsProps) {
  const { device, zone, maySwitch, maySend } = props;
  const { t } = useWords("devices");
  const { asCommand, choose, put, send, isBusy, error } = useSwitching(props);
  return (
    <Card title={t("controls.title")}>
      <Stack gap="sm">
        <SegmentedControl
          aria-label={t("controls.state")}
          data={STATES.map((value) => ({ value, label: t(`state.${value}`) }))}
          value={device.state}
          onChange={put}
          disabled={!(maySwitch || asCommand) || isBusy}
          fullWidth
        />
        {maySend && (
          <Switch
            label={t("controls.as-command")}
            description={t(asCommand ? "controls.as-command-on" : "controls.as-command-off")}
            checked={asCommand}
            onChange={(event) => choose(event.currentTarget.checked)}
          />
        )}
        {!maySend && !maySwitch && <Text size="sm" c="dimmed">{t("controls.may-not")}</Text>}
        {maySend && <Power device={device} isBusy={send.isPending} onSend={(power_w) => send.mutate({ name: "set_power", arguments: { power_w } })} />}
        {error && <Failure error={error} />}
        <Timeline device={device.id} zone={zone} mayCancel={maySend} />
      </Stack>
    </Card>
  );
}

function Power({ device, isBusy, onSend }: { device: Device; isBusy: boolean; onSend: (watts: number) => void }) {
  const { t, locale } = useWords("devices");
  const full = device.rated_power_w ?? FULL_W;
  const [watts, setWatts] = useState(Math.round(full / 2));
  return (
    <div>
      <Text size="sm" fw={500}>{t("controls.power")}</Text>
      <Group gap="md" wrap="nowrap">
        <Slider
          style={{ flex: 1 }}
          min={0}
          max={full}
          step={Math.max(1, Math.round(full / 100))}
          value={watts}
          onChange={setWatts}
          label={(value) => show(value, "W", locale)}
          thumbLabel={t("controls.power")}
        />
        <Button size="xs" variant="default" loading={isBusy} onClick={() => onSend(watts)}>{t("controls.set", { power: show(watts, "W", locale) })}</Button>
      </Group>
    </div>
  );
}
