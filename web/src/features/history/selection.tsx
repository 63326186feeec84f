// Which devices and which of their numbers are looked at.

import { Group, MultiSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import { MOST_DEVICES, type View } from "~/period/search";
import { metricsQuery, type Device } from "./queries";
import type { Change } from "./use-view";

interface SelectionProps {
  readonly view: View;
  readonly site: string;
  readonly devices: readonly Device[];
  readonly onChange: Change;
}

const SEEN = 50;

export function Selection({ view, site, devices, onChange }: SelectionProps) {
  const { t } = useWords("history");
  const { data: metrics } = useQuery(metricsQuery(site));
  const names = [...new Set([...(metrics ?? []), ...view.metrics])];
  return (
    <Group gap="sm" align="flex-start" grow preventGrowOverflow={false} wrap="wrap">
      <MultiSelect
        label={t("select.devices")}
        placeholder={view.devices.length ? undefined : t("select.whole-site")}
        data={devices.map((one) => ({ value: one.id, label: one.name }))}
        value={[...view.devices]}
        onChange={(chosen) => onChange({ devices: chosen, only: null })}
        maxValues={MOST_DEVICES}
        limit={SEEN}
        searchable
        clearable
        clearButtonProps={{ "aria-label": t("select.clear") }}
        nothingFoundMessage={t("select.nothing")}
        miw={220}
      />
      <MultiSelect
        label={t("select.metrics")}
        data={names.map((one) => ({ value: one, label: metricName(one, t) }))}
        value={[...view.metrics]}
        onChange={(chosen) => onChange({ metrics: chosen.length ? chosen : ["power"] })}
        maxValues={6}
        nothingFoundMessage={t("select.nothing")}
        miw={220}
      />
    </Group>
  );
}
