// One refused reading as it came, to be sent once more or thrown away.

import { Alert, Button, Checkbox, Code, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { sentenceOf } from "~/api/problem";
import { may, sessionQuery } from "~/api/session";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { SureButton } from "~/ui/sure-button";
import { tellDone } from "~/ui/tell";
import { discard, replay, type Letter } from "./queries";

function written(payload: unknown): string {
  return typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
}

export function LetterDialog({ letter, onClose }: { letter: Letter; onClose: () => void }) {
  const { t, locale } = useWords("dead-letters");
  const queries = useQueryClient();
  const zone = useZone()();
  const { data: session } = useQuery(sessionQuery);
  const [isReplacing, setIsReplacing] = useState(false);
  const renew = () => queries.invalidateQueries({ queryKey: ["dead-letters"] });
  const done = (word: string) => async () => {
    tellDone(t(word));
    onClose();
    await renew();
  };
  const sending = useMutation({ mutationFn: () => replay(letter.id, isReplacing ? "replace" : "reject"), onSuccess: done("replayed") });
  const throwing = useMutation({ mutationFn: () => discard(letter.id), onSuccess: done("thrown") });
  const failed = sending.error ?? throwing.error;
  const mayAct = may(session, "dead_letters:delete");
  return (
    <Modal opened onClose={onClose} size="lg" title={t("one")} closeButtonProps={{ "aria-label": t("common:action.close") }}>
      <Stack gap="sm">
        <Text>{letter.detail}</Text>
        <Text size="sm" c="dimmed">
          {[letter.code, t(`door.${letter.door}`, letter.door), letter.device, showTime(Date.parse(letter.received_at), zone, locale, true)].filter(Boolean).join(" · ")}
        </Text>
        {letter.replayed_at && <Text size="sm">{t("replayed-at", { time: showTime(Date.parse(letter.replayed_at), zone, locale) })}</Text>}
        <Text size="sm" fw={500}>{t("raw")}</Text>
        <Code block mah={320} tabIndex={0} style={{ overflow: "auto" }} aria-label={t("raw")}>{written(letter.payload)}</Code>
        {failed && <Alert color="red" variant="outline" role="alert">{sentenceOf(failed)}</Alert>}
        {mayAct && letter.code === "conflict" && !letter.replayed_at && (
          <Checkbox label={t("replace")} checked={isReplacing} onChange={(event) => setIsReplacing(event.currentTarget.checked)} />
        )}
        {mayAct && (
          <Group justify="flex-end">
            <SureButton size="sm" loading={throwing.isPending} question={t("throw-sure")} onSure={() => throwing.mutate()}>{t("throw")}</SureButton>
            {!letter.replayed_at && <Button loading={sending.isPending} onClick={() => sending.mutate()}>{t("replay")}</Button>}
          </Group>
        )}
      </Stack>
    </Modal>
  );
}
