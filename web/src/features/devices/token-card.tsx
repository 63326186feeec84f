// A device's token: made, shown once with lines that try it, ended.

import { Alert, Button, CopyButton, Group, Modal, Stack, Text } from "@mantine/core";
import { useState } from "react";
import type { Device } from "~/api/devices";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { Failure } from "~/ui/states";
import classes from "./devices.module.css";
import { useEndToken, useMakeToken } from "./queries";
import { curlLine, mosquittoLine } from "./token-lines";

interface TokenCardProps {
  readonly device: Device;
  readonly organisation: string;
  readonly zone: string;
  readonly mayMake: boolean;
  readonly mayEnd: boolean;
}

export function TokenCard({ device, organisation, zone, mayMake, mayEnd }: TokenCardProps) {
  const { t, locale } = useWords("devices");
  const make = useMakeToken(device.id);
  const end = useEndToken(device.id);
  const [isAsked, ask] = useState(false);
  const since = device.token_made_at;
  const begin = () => {
    ask(false);
    make.mutate();
  };
  return (
    <Card title={t("token.title")}>
      <Stack gap="sm" align="flex-start">
        <Text size="sm">{since ? t("token.since", { time: showTime(Date.parse(since), zone, locale) }) : t("token.none")}</Text>
        <Group gap="xs">
          {mayMake && <Button size="xs" variant="default" loading={make.isPending} onClick={() => (since ? ask(true) : begin())}>{t(since ? "token.replace" : "token.make")}</Button>}
          {mayEnd && since && <Button size="xs" variant="subtle" color="red" loading={end.isPending} onClick={() => end.mutate()}>{t("token.end")}</Button>}
        </Group>
        {(make.error ?? end.error) && <Failure error={make.error ?? end.error} />}
      </Stack>
      <Modal opened={isAsked} onClose={() => ask(false)} title={t("token.replace")} closeButtonProps={{ "aria-label": t("common:action.close") }}>
        <Stack>
          <Text>{t("token.replace-hint")}</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => ask(false)}>{t("common:action.cancel")}</Button>
            <Button onClick={begin}>{t("common:action.confirm")}</Button>
          </Group>
        </Stack>
      </Modal>
      <Modal opened={make.data !== undefined} onClose={() => make.reset()} title={t("token.new")} size="lg" closeButtonProps={{ "aria-label": t("common:action.close") }}>
        {make.data && <New token={make.data.token} port={make.data.mqtt_port} device={device.id} organisation={organisation} />}
      </Modal>
    </Card>
  );
}

function New({ token, port, device, organisation }: { token: string; port: number | null; device: string; organisation: string }) {
  const { t } = useWords("devices");
  return (
    <Stack gap="md">
      <Alert color="yellow" variant="outline" title={t("token.once")}><Text size="sm" c="var(--kw-text)">{t("token.once-hint")}</Text></Alert>
      <Line label={t("token.token")} text={token} />
      <Line label={t("token.http")} text={curlLine(location.origin, device, token)} />
      <Line label={t("token.mqtt")} text={mosquittoLine(location.hostname, port, organisation, device, token)} />
      {port === null && <Text size="sm" c="dimmed">{t("token.port")}</Text>}
    </Stack>
  );
}

function Line({ label, text }: { label: string; text: string }) {
  const { t } = useWords("devices");
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>{label}</Text>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button size="compact-xs" variant="default" onClick={copy} aria-label={`${t("common:action.copy")}: ${label}`}>{t(copied ? "common:action.copied" : "common:action.copy")}</Button>
          )}
        </CopyButton>
      </Group>
      <pre className={classes.command} tabIndex={0} aria-label={label}>{text}</pre>
    </div>
  );
}
