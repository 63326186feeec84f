// What of the alerts is shown: status with counts, severity, kind, site.

import { Group, SegmentedControl, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { severityChoices } from "~/ui/severity-choices";
import type { SeverityName } from "~/ui/severity";
import { KINDS, VIEWS, type Filter, type Kind, type View } from "./filter";
import { alertCountsQuery } from "./queries";
import { ORDERS, type Order } from "./state";

interface FiltersProps {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
  readonly order: Order;
  readonly onOrder: (order: Order) => void;
}

function countOf(view: View, counts: Record<string, number> | undefined): number | null {
  if (!counts) return null;
  if (view === "living") return (counts.open ?? 0) + (counts.acknowledged ?? 0);
  if (view === "all") return Object.values(counts).reduce((sum, one) => sum + one, 0);
  return counts[view] ?? 0;
}

export function Filters({ filter, onChange, order, onOrder }: FiltersProps) {
  const { t } = useWords("alerts");
  const { site, sites } = useSite();
  const { data: counts } = useQuery(alertCountsQuery({ ...filter, site: filter.site ?? site?.id ?? null }));
  const views = VIEWS.map((view) => {
    const count = countOf(view, counts?.status);
    return { value: view, label: count === null ? t(`view.${view}`) : `${t(`view.${view}`)} ${count}` };
  });
  return (
    <Group gap="sm" align="flex-end">
      <SegmentedControl aria-label={t("field.status")} size="xs" data={views} value={filter.view} onChange={(view) => onChange({ ...filter, view: view as View })} visibleFrom="xl" />
      <Select label={t("field.status")} size="xs" w={150} allowDeselect={false} data={views} value={filter.view} onChange={(view) => onChange({ ...filter, view: (view ?? "living") as View })} hiddenFrom="xl" />
      <Select label={t("field.severity")} size="xs" w={150} clearable clearButtonProps={{ "aria-label": t("clear") }} placeholder={t("any")} data={severityChoices(t)} value={filter.severity} onChange={(severity) => onChange({ ...filter, severity: severity as SeverityName | null })} />
      <Select label={t("field.kind")} size="xs" w={150} clearable clearButtonProps={{ "aria-label": t("clear") }} placeholder={t("any")} data={KINDS.map((value) => ({ value, label: t(`kind.${value}`) }))} value={filter.kind} onChange={(kind) => onChange({ ...filter, kind: kind as Kind | null })} />
      {sites.length > 1 && (
        <Select label={t("common:place.site")} size="xs" w={150} clearable searchable clearButtonProps={{ "aria-label": t("clear") }} placeholder={site?.name ?? t("common:place.all-sites")} data={sites.map((one) => ({ value: one.id, label: one.name }))} value={filter.site} onChange={(chosen) => onChange({ ...filter, site: chosen })} />
      )}
      <Select label={t("field.order")} size="xs" w={150} allowDeselect={false} data={ORDERS.map((value) => ({ value, label: t(`order.${value}`) }))} value={order} onChange={(value) => onOrder((value ?? "newest") as Order)} />
    </Group>
  );
}
