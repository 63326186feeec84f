// The refused readings themselves, the newest first.

import { Anchor, Badge, Button, Group, Stack, Switch, Table, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { may, sessionQuery } from "~/api/session";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Empty, Shown } from "~/ui/states";
import { SureButton } from "~/ui/sure-button";
import { tellDone, tellFailure } from "~/ui/tell";
import { isNarrow, type Filter } from "./filter";
import { LetterDialog } from "./letter-dialog";
import { discardMany, lettersQuery, type Letter } from "./queries";

interface LettersProps {
  readonly filter: Filter;
  readonly onFilter: (filter: Filter) => void;
}

export function Letters({ filter, onFilter }: LettersProps) {
  const { t } = useWords("dead-letters");
  const asked = useInfiniteQuery(lettersQuery(filter));
  const [shown, setShown] = useState<Letter | null>(null);
  return (
    <Stack gap="sm">
      <Bar filter={filter} onFilter={onFilter} />
      <Shown of={asked} height={300}>
        {(data) => {
          const letters = data.pages.flatMap((page) => page.items);
          return letters.length ? <Rows letters={letters} onOpen={setShown} /> : <Empty title={t("none")} />;
        }}
      </Shown>
      {asked.hasNextPage && <Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>{t("common:table.more")}</Button>}
      {shown && <LetterDialog letter={shown} onClose={() => setShown(null)} />}
    </Stack>
  );
}

function Bar({ filter, onFilter }: LettersProps) {
  const { t } = useWords("dead-letters");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const throwing = useMutation({
    mutationFn: () => discardMany(filter),
    onError: tellFailure,
    onSuccess: ({ discarded }) => tellDone(t("discarded", { count: discarded })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["dead-letters"] }),
  });
  const named = (["code", "door", "device"] as const).filter((one) => filter[one] !== null);
  return (
    <Group gap="xs" mih={36}>
      <Switch label={t("show-replayed")} checked={filter.replayed} onChange={(event) => onFilter({ ...filter, replayed: event.currentTarget.checked })} />
      {named.map((one) => (
        <Button key={one} size="compact-sm" variant="default" aria-label={t("drop", { name: t(`field.${one}`) })} onClick={() => onFilter({ ...filter, [one]: null })}>
          {t(`field.${one}`)}: {filter[one]} ×
        </Button>
      ))}
      {may(session, "dead_letters:delete") && isNarrow(filter) && (
        <SureButton loading={throwing.isPending} question={t("discard-sure")} onSure={() => throwing.mutate()}>{t("discard-many")}</SureButton>
      )}
    </Group>
  );
}

function Rows({ letters, onOpen }: { letters: readonly Letter[]; onOpen: (letter: Letter) => void }) {
  const { t, locale } = useWords("dead-letters");
  const zone = useZone()();
  return (
    <Table aria-label={t("title")} verticalSpacing="xs">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t("field.received")}</Table.Th>
          <Table.Th>{t("field.detail")}</Table.Th>
          <Table.Th visibleFrom="sm">{t("field.device")}</Table.Th>
          <Table.Th visibleFrom="sm">{t("field.door")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {letters.map((one) => (
          <Table.Tr key={one.id}>
            <Table.Td className="kw-number" style={{ verticalAlign: "top" }}>{showTime(Date.parse(one.received_at), zone, locale)}</Table.Td>
            <Table.Td>
              <Anchor component="button" type="button" size="sm" ta="left" style={{ overflowWrap: "anywhere" }} onClick={() => onOpen(one)}>{one.detail}</Anchor>
              <Text size="xs" c="dimmed">
                {one.code}
                {one.replayed_at && <Badge ml="xs" size="xs" variant="outline" styles={{ root: { color: "var(--kw-good)", borderColor: "var(--kw-good)" } }}>{t("is-replayed")}</Badge>}
              </Text>
            </Table.Td>
            <Table.Td visibleFrom="sm">{one.device ?? "–"}</Table.Td>
            <Table.Td visibleFrom="sm">{t(`door.${one.door}`, one.door)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
