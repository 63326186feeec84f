// "What caused this?": what moved a stream, from the values alone, and events that only look guilty.

import { Anchor, Badge, NativeSelect, Stack, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { causesQuery, type Span, type Stream } from "./queries";

interface Props {
  readonly streams: readonly Stream[];
  readonly about: { stream?: string; event?: string };
  readonly onAbout: (about: { stream?: string; event?: string }) => void;
  readonly span: Span;
  readonly zone: string;
}

const percent = (change: number, locale: string) =>
  new Intl.NumberFormat(locale, { style: "percent", signDisplay: "exceptZero", maximumFractionDigits: 0 }).format(change);

export function Causes({ streams, about, onAbout, span, zone }: Props) {
  const { t, locale } = useWords("simulation");
  const isAsked = about.stream !== undefined || about.event !== undefined;
  const found = useQuery({ ...causesQuery(about, span), enabled: isAsked });
  const titles = new Map(streams.map((one) => [one.name, one.title]));
  return (
    <Card title={t("causes.title")}>
      <Stack gap="sm">
        <NativeSelect
          label={t("causes.stream")}
          value={about.stream ?? ""}
          onChange={(event) => onAbout(event.currentTarget.value ? { stream: event.currentTarget.value } : {})}
          data={[{ value: "", label: about.event ? t("causes.of-event") : t("causes.choose") }, ...streams.map((one) => ({ value: one.name, label: one.title }))]}
        />
        {!isAsked && <Text size="sm" c="dimmed">{t("causes.hint")}</Text>}
        {isAsked && (
          <Shown of={found} height={120}>
            {(items) =>
              items.length === 0 ? (
                <Text size="sm" role="status">{t("causes.nothing")}</Text>
              ) : (
                <WideTable minWidth={520} label={t("causes.title")}>
                  <Table>
                    <Table.Thead>
                      <Table.Tr>
                        <Table.Th>{t("causes.event")}</Table.Th>
                        <Table.Th>{t("causes.when")}</Table.Th>
                        <Table.Th>{t("causes.verdict")}</Table.Th>
                        <Table.Th>{t("causes.moved")}</Table.Th>
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {items.slice(0, 50).map(({ event, verdict, movements }) => (
                        <Table.Tr key={event.id}>
                          <Table.Td>
                            <Anchor component="button" ta="left" onClick={() => onAbout({ event: event.id })}>{event.title}</Anchor>
                          </Table.Td>
                          <Table.Td className="kw-number">{showTime(Date.parse(event.ts), zone, locale)}</Table.Td>
                          <Table.Td><Verdict of={verdict} word={t(`verdict.${verdict}`)} /></Table.Td>
                          <Table.Td>
                            {movements.slice(0, 4).map((one) => `${titles.get(one.stream) ?? one.stream} ${percent(one.change, locale)}`).join(", ") || "–"}
                          </Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </WideTable>
              )
            }
          </Shown>
        )}
      </Stack>
    </Card>
  );
}

function Verdict({ of, word }: { of: "causal" | "red_herring" | "unknown"; word: string }) {
  const color = { causal: "var(--kw-high)", red_herring: "var(--kw-quiet)", unknown: "var(--kw-quiet)" }[of];
  return <Badge variant="outline" styles={{ root: { color, borderColor: color, textTransform: "none" } }}>{word}</Badge>;
}
