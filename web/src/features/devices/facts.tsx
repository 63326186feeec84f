// What is written down of a device, and the alerts about it.

import { Anchor, Group, Stack, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Device } from "~/api/devices";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { show } from "~/lib/units";
import { useEvents } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";
import { Card } from "~/ui/card";
import { Severity } from "~/ui/severity";
import { Empty, Shown } from "~/ui/states";
import classes from "./devices.module.css";
import { deviceAlertsQuery } from "./queries";

const HEIGHT = 110;

export function Facts({ device, site, zone }: { device: Device; site: string; zone: string }) {
  const { t, locale } = useWords("devices");
  const rows: readonly (readonly [string, string | null])[] = [
    [t("field.id"), device.id],
    [t("field.type"), device.type],
    [t("common:place.site"), site],
    [t("field.room"), device.room],
    [t("field.region"), device.region],
    [t("field.rated"), device.rated_power_w === null ? null : show(device.rated_power_w, "W", locale)],
    [t("field.idle"), device.idle_threshold_w === null ? null : show(device.idle_threshold_w, "W", locale)],
    [t("field.made"), showTime(Date.parse(device.created_at), zone, locale)],
    ...Object.entries(device.metadata).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const),
  ];
  return (
    <Card title={t("facts")}>
      <dl className={classes.facts}>
        {rows.filter(([, value]) => value !== null).map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}><dt>{name}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </Card>
  );
}

export function DeviceAlerts({ device, zone }: { device: string; zone: string }) {
  const { t, locale } = useWords("devices");
  const queries = useQueryClient();
  const alerts = useQuery(deviceAlertsQuery(device));
  const renew = () => void readAnew(queries, deviceAlertsQuery(device).queryKey);
  useEvents("alerts", ({ data }) => data.device === device && renew(), renew);
  return (
    <Card title={t("alerts.title")}>
      <div style={{ minHeight: HEIGHT }}>
        <Shown of={alerts} height={HEIGHT}>
          {({ items }) =>
            items.length ? (
              <Stack gap="sm">
                {items.map((alert) => (
                  <div key={alert.id}>
                    <Group gap="xs" wrap="nowrap">
                      <Severity of={alert.severity} />
                      <Anchor component={Link} {...({ to: "/alerts/$alert", params: { alert: alert.id } } as object)} c="var(--kw-text)" fw={600} size="sm">{alert.title}</Anchor>
                    </Group>
                    <Text size="sm" c="dimmed">{t(`alerts.status.${alert.status}`)}, {showTime(Date.parse(alert.since), zone, locale)}</Text>
                  </div>
                ))}
              </Stack>
            ) : (
              <Empty title={t("alerts.none")} />
            )
          }
        </Shown>
      </div>
    </Card>
  );
}
