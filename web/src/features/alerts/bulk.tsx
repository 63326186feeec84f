// What can be done with the alerts that are selected.

import { Button, Group, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useWords } from "~/language/use-words";
import { tellDone, tellFailure } from "~/ui/tell";
import { doTo } from "./queries";

interface BulkProps {
  readonly selected: readonly string[];
  readonly onDone: () => void;
}

/** One after the other, so that a refusal leaves the rest alone. */
async function acknowledgeAll(ids: readonly string[], comment: string): Promise<number> {
  for (const id of ids) await doTo({ id, act: "acknowledge", comment });
  return ids.length;
}

export function Bulk({ selected, onDone }: BulkProps) {
  const { t } = useWords("alerts");
  const queries = useQueryClient();
  const [comment, setComment] = useState("");
  const acting = useMutation({
    mutationFn: () => acknowledgeAll(selected, comment),
    onSuccess: (count) => {
      tellDone(t("acknowledged", { count }));
      setComment("");
      onDone();
    },
    onError: tellFailure,
    onSettled: () => void queries.invalidateQueries({ queryKey: ["alerts"] }),
  });
  return (
    <Group gap="xs" mih={36}>
      <Text size="sm" aria-live="polite">{selected.length ? t("selected", { count: selected.length }) : t("select-hint")}</Text>
      {selected.length > 0 && (
        <>
          <TextInput size="xs" aria-label={t("comment.label")} placeholder={t("comment.label")} value={comment} onChange={(event) => setComment(event.currentTarget.value)} />
          <Button size="xs" loading={acting.isPending} onClick={() => acting.mutate()}>{t("act.acknowledge")}</Button>
        </>
      )}
    </Group>
  );
}
