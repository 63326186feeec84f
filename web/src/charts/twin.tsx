// The table twin of a chart: the same numbers for whoever does not see it, or wants to read them.

import { Button, Collapse, ScrollArea, Table } from "@mantine/core";
import { IconTable } from "@tabler/icons-react";
import { useState } from "react";
import { useWords } from "~/language/use-words";

interface TwinProps {
  /** What the table says, in a sentence. */
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: number;
  readonly cells: (row: number) => readonly string[];
  /** Told when the table is opened or closed. */
  readonly onOpen?: (isOpen: boolean) => void;
}

const PORTION = 100;

export function Twin({ caption, columns, rows, cells, onOpen }: TwinProps) {
  const { t } = useWords();
  const [isOpen, setOpen] = useState(false);
  const [most, setMost] = useState(PORTION);
  const toggle = () => {
    setOpen(!isOpen);
    onOpen?.(!isOpen);
  };
  return (
    <div>
      <Button
        variant="subtle"
        size="compact-sm"
        color="gray"
        c="var(--kw-text)"
        leftSection={<IconTable size={16} />}
        aria-expanded={isOpen}
        onClick={toggle}
      >
        {t("table.show")}
      </Button>
      <Collapse expanded={isOpen}>
        {isOpen && (
          <ScrollArea.Autosize mah={360} mt="xs" viewportProps={{ tabIndex: 0, role: "region", "aria-label": caption }}>
            <Table stickyHeader striped className="kw-number" fz="sm">
              <Table.Caption>{caption}</Table.Caption>
              <Table.Thead bg="var(--kw-card)">
                <Table.Tr>{columns.map((name, at) => <Table.Th key={at} scope="col" ta={at ? "right" : "left"}>{name}</Table.Th>)}</Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {Array.from({ length: Math.min(rows, most) }, (_, row) => (
                  <Table.Tr key={row}>
                    {cells(row).map((cell, at) => <Table.Td key={at} ta={at ? "right" : "left"}>{cell}</Table.Td>)}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
            {rows > most && (
              <Button variant="default" size="xs" mt="xs" onClick={() => setMost(most + PORTION)}>{t("table.more")}</Button>
            )}
          </ScrollArea.Autosize>
        )}
      </Collapse>
    </div>
  );
}
