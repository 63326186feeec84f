// A new password by a code from a mail.

import { Anchor, Button, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { useWords } from "~/language/use-words";
import { Outside } from "./outside";
import { forget, resetPassword } from "./queries";
import { Wrong } from "./wrong";

export function ResetPassword() {
  const { t } = useWords("account");
  const [email, setEmail] = useState("");
  const sending = useMutation({ mutationFn: () => forget(email) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    sending.mutate();
  };
  return (
    <Outside title={t("reset.title")}>
      {sending.isSuccess ? (
        <NewPassword email={email} />
      ) : (
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Text size="sm" c="dimmed">{t("reset.hint")}</Text>
            <TextInput label={t("field.email")} type="email" autoComplete="username" required autoFocus value={email} error={faultsOf(sending.error).email} onChange={(event) => setEmail(event.currentTarget.value)} />
            <Wrong text={otherFault(sending.error, ["email"])} />
            <Button type="submit" loading={sending.isPending}>{t("reset.send")}</Button>
          </Stack>
        </form>
      )}
      <Anchor size="sm" href="/sign-in" mt="md" display="inline-block">{t("reset.back")}</Anchor>
    </Outside>
  );
}

function NewPassword({ email }: { email: string }) {
  const { t } = useWords("account");
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const setting = useMutation({ mutationFn: () => resetPassword({ email, code: code.trim(), password }) });
  const faults = faultsOf(setting.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setting.mutate();
  };
  if (setting.isSuccess) return <Text role="status">{t("reset.done")}</Text>;
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm" role="status">{t("reset.sent", { email })}</Text>
        <TextInput label={t("sign-up.code")} inputMode="numeric" autoComplete="one-time-code" required autoFocus value={code} error={faults.code} onChange={(event) => setCode(event.currentTarget.value)} />
        <PasswordInput label={t("field.new-password")} description={t("field.password-hint")} autoComplete="new-password" required minLength={10} value={password} error={faults.password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} />
        <Wrong text={otherFault(setting.error, ["code", "password"])} />
        <Button type="submit" loading={setting.isPending}>{t("reset.set")}</Button>
      </Stack>
    </form>
  );
}
