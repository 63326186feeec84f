// How many readings were refused, by reason and door; a row narrows the list.

import { Anchor, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { showNumber } from "~/lib/units";
import { Empty, Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import type { Filter } from "./filter";
import { summaryQuery } from "./queries";

const COUNT = { unit: "", factor: 1, digits: 0 };

export function Summary({ filter, onFilter }: { filter: Filter; onFilter: (filter: Filter) => void }) {
  const { t, locale } = useWords("dead-letters");
  const zone = useZone()();
  const asked = useQuery(summaryQuery);
  return (
    <Shown of={asked} height={160}>
      {(summary) =>
        summary.items.length ? (
          <WideTable minWidth={320} label={t("summary")}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("field.code")}</Table.Th>
                  <Table.Th>{t("field.door")}</Table.Th>
                  <Table.Th ta="right">{t("field.waiting")}</Table.Th>
                  <Table.Th ta="right">{t("field.replayed")}</Table.Th>
                  <Table.Th visibleFrom="sm">{t("field.newest")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {summary.items.map((one) => (
                  <Table.Tr key={`${one.code} ${one.door}`} bg={one.code === filter.code && one.door === filter.door ? "var(--kw-grid)" : undefined}>
                    <Table.Td>
                      <Anchor component="button" type="button" size="sm" ta="left" onClick={() => onFilter({ ...filter, code: one.code, door: one.door })}>
                        {t(`code.${one.code}`, one.code)}
                      </Anchor>
                      <Text size="xs" c="dimmed">{one.code}</Text>
                    </Table.Td>
                    <Table.Td>{t(`door.${one.door}`, one.door)}</Table.Td>
                    <Table.Td ta="right" className="kw-number">{showNumber(one.waiting, COUNT, locale)}</Table.Td>
                    <Table.Td ta="right" className="kw-number">{showNumber(one.replayed, COUNT, locale)}</Table.Td>
                    <Table.Td visibleFrom="sm" className="kw-number">{showTime(Date.parse(one.newest), zone, locale)}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </WideTable>
        ) : (
          <Empty title={t("empty.title")}>{t("empty.hint")}</Empty>
        )
      }
    </Shown>
  );
}
