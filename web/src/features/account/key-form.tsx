// Looking with an API key instead of an account.

import { Button, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { otherFault } from "~/api/fields";
import { chooseOrganisation } from "~/api/client";
import { useWords } from "~/language/use-words";
import { openWithKey } from "./queries";
import { Wrong } from "./wrong";

export function KeyForm({ onOpen, onBack }: { onOpen: () => void; onBack: () => void }) {
  const { t } = useWords("account");
  const [key, setKey] = useState("");
  const opening = useMutation({
    mutationFn: () => openWithKey(key.trim()),
    onSuccess: () => {
      chooseOrganisation(null);
      onOpen();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    opening.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm" c="dimmed">{t("key.hint")}</Text>
        <PasswordInput label={t("key.field")} required autoFocus autoComplete="off" value={key} onChange={(event) => setKey(event.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} />
        <Wrong text={otherFault(opening.error, [])} />
        <Button type="submit" loading={opening.isPending}>{t("key.do")}</Button>
        <Button variant="default" onClick={onBack}>{t("key.back")}</Button>
      </Stack>
    </form>
  );
}
