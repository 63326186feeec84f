// Password, sessions and the end of the account.

import { Button, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { chooseOrganisation } from "~/api/client";
import { faultsOf, otherFault } from "~/api/fields";
import { chooseSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { SureButton } from "~/ui/sure-button";
import { tellDone, tellFailure } from "~/ui/tell";
import { changePassword, deleteAccount, logOut } from "./queries";
import { Wrong } from "./wrong";

function goOut(): void {
  chooseOrganisation(null);
  chooseSite(null);
  location.assign("/sign-in");
}

export function Password({ email }: { email: string }) {
  const { t } = useWords("account");
  const [before, setBefore] = useState("");
  const [next, setNext] = useState("");
  const changing = useMutation({
    mutationFn: () => changePassword({ old_password: before, password: next }),
    onSuccess: () => {
      setBefore("");
      setNext("");
      tellDone(t("password.done"));
    },
  });
  const faults = faultsOf(changing.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    changing.mutate();
  };
  const eye = { "aria-label": t("field.show-password") };
  return (
    <Card title={t("password.title")}>
      <form onSubmit={submit}>
        <Stack gap="sm" maw={420}>
          <Text size="sm" c="dimmed">{t("password.hint")}</Text>
          <input type="text" hidden readOnly autoComplete="username" value={email} />
          <PasswordInput label={t("field.old-password")} autoComplete="current-password" required value={before} error={faults.old_password} visibilityToggleButtonProps={eye} onChange={(event) => setBefore(event.currentTarget.value)} />
          <PasswordInput label={t("field.new-password")} description={t("field.password-hint")} autoComplete="new-password" required minLength={10} value={next} error={faults.password} visibilityToggleButtonProps={eye} onChange={(event) => setNext(event.currentTarget.value)} />
          <Wrong text={otherFault(changing.error, ["old_password", "password"])} />
          <Group><Button type="submit" loading={changing.isPending}>{t("password.set")}</Button></Group>
        </Stack>
      </form>
    </Card>
  );
}

export function Sessions() {
  const { t } = useWords("account");
  const ending = useMutation({ mutationFn: logOut, onSuccess: goOut, onError: tellFailure });
  return (
    <Card title={t("sessions.title")}>
      <Stack gap="sm" align="flex-start">
        <Text size="sm" c="dimmed">{t("sessions.hint")}</Text>
        <Button variant="default" loading={ending.isPending} onClick={() => ending.mutate()}>{t("sessions.end")}</Button>
      </Stack>
    </Card>
  );
}

export function Farewell() {
  const { t } = useWords("account");
  const [password, setPassword] = useState("");
  const deleting = useMutation({ mutationFn: () => deleteAccount(password), onSuccess: goOut });
  const faults = faultsOf(deleting.error);
  return (
    <Card title={t("farewell.title")}>
      <Stack gap="sm" maw={420} align="flex-start">
        <Text size="sm" c="dimmed">{t("farewell.hint")}</Text>
        <PasswordInput w="100%" label={t("field.old-password")} autoComplete="off" value={password} error={faults.password} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} onChange={(event) => setPassword(event.currentTarget.value)} />
        <Wrong text={otherFault(deleting.error, ["password"])} />
        <SureButton size="sm" disabled={!password} loading={deleting.isPending} question={t("farewell.sure")} onSure={() => deleting.mutate()}>{t("farewell.do")}</SureButton>
      </Stack>
    </Card>
  );
}
