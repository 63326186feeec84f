// The metric of an alert around the time when it lasted.

import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { storedQuery } from "~/api/stored";
import { useZone } from "~/api/zone";
import { LimitPlot } from "~/charts/limit-plot";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Shown } from "~/ui/states";
import type { Alert } from "./queries";
import { drawnOf, spanAround } from "./state";

const HEIGHT = 280;

export function Around({ alert, device }: { alert: Alert; device: string }) {
  const { t, locale } = useWords("alerts");
  const zone = useZone()(alert.site_id);
  const [openedMs] = useState(() => Date.now());
  const { since, resolved_at } = alert;
  const { startMs, endMs } = useMemo(() => spanAround({ since, resolved_at }, openedMs), [since, resolved_at, openedMs]);
  const { metric, limit } = drawnOf(alert);
  const asked = useQuery(storedQuery({ device, metric, startMs, endMs }));
  const bands = useMemo(
    () => [{ from: Date.parse(since) / 1_000, to: (resolved_at ? Date.parse(resolved_at) : endMs) / 1_000 }],
    [since, resolved_at, endMs],
  );
  return (
    <Shown of={asked} height={HEIGHT}>
      {(stored) =>
        stored.times.length ? (
          <LimitPlot
            times={stored.times}
            values={stored.values}
            unit={stored.unit}
            limit={limit}
            bands={bands}
            zone={zone}
            label={t("chart", {
              metric: metricName(metric, t), thing: alert.device_name ?? device,
              start: showTime(startMs, zone, locale), end: showTime(endMs, zone, locale),
            })}
          />
        ) : (
          <Text c="dimmed" mih={HEIGHT}>{t("chart-empty")}</Text>
        )
      }
    </Shown>
  );
}
