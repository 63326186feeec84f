// Search and filters over the list.

import { Group, Select, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import type { Device } from "~/api/devices";
import { useSite, chooseSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { choicesOf, ORDERS, type Order, type Wanted } from "./sieve";

const STATUSES: readonly Device["status"][] = ["active", "inactive", "maintenance", "error"];

interface FiltersProps {
  readonly devices: readonly Device[];
  readonly wanted: Wanted;
  readonly onWant: (change: Partial<Wanted>) => void;
}

export function Filters({ devices, wanted, onWant }: FiltersProps) {
  const { t } = useWords("devices");
  const { site, sites } = useSite();
  const wide = { base: "calc(50% - 5px)", xs: 145 };
  return (
    <Group gap="xs" align="flex-end">
      <TextInput
        label={t("filter.search")}
        placeholder={t("filter.search-hint")}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={wanted.text}
        onChange={(event) => onWant({ text: event.currentTarget.value })}
        type="search"
        w={{ base: "100%", xs: 220 }}
      />
      {sites.length > 1 && (
        <Select
          label={t("common:place.site")}
          data={sites.map(({ id, name }) => ({ value: id, label: name }))}
          value={site?.id ?? null}
          placeholder={t("common:place.all-sites")}
          onChange={chooseSite}
          clearable
          searchable
          w={wide}
        />
      )}
      <Select label={t("filter.type")} data={choicesOf(devices, "type")} value={wanted.type} onChange={(type) => onWant({ type })} placeholder={t("filter.all")} clearable searchable w={wide} />
      <Select label={t("filter.room")} data={choicesOf(devices, "room")} value={wanted.room} onChange={(room) => onWant({ room })} placeholder={t("filter.all")} clearable searchable w={wide} />
      <Select
        label={t("filter.status")}
        data={STATUSES.map((value) => ({ value, label: t(`status.${value}`) }))}
        value={wanted.status}
        onChange={(status) => onWant({ status })}
        placeholder={t("filter.all")}
        clearable
        w={wide}
      />
      <Select
        label={t("filter.order")}
        data={ORDERS.map((value) => ({ value, label: t(`column.${value}`) }))}
        value={wanted.order}
        onChange={(order) => onWant({ order: (order as Order | null) ?? "name" })}
        allowDeselect={false}
        w={wide}
      />
    </Group>
  );
}
