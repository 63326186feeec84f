// Signing in: by password (and a second factor where one is on) or with an API key; then what waits for the person.

import { Anchor, Button, Divider, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { Refusal } from "~/api/problem";
import { otherFault } from "~/api/fields";
import { useWords } from "~/language/use-words";
import { Invitations } from "./invitations";
import { KeyForm } from "./key-form";
import { countInvitations, logIn } from "./queries";
import { Outside } from "./outside";
import { targetOf } from "./target";
import { Wrong } from "./wrong";

type Step = "password" | "key" | "invited";

/** to: the page that was asked for before signing in. */
export function SignIn({ to }: { to: unknown }) {
  const { t } = useWords("account");
  const [step, setStep] = useState<Step>("password");
  const target = targetOf(to);
  const go = () => location.assign(target);
  const welcome = async () => {
    const waiting = await countInvitations().catch(() => 0);
    if (waiting) setStep("invited");
    else go();
  };
  if (step === "invited") {
    return (
      <Outside title={t("invitations.title")}>
        <Stack>
          <Invitations onAccepted={() => location.assign("/")} />
          <Button variant="default" onClick={go}>{t("invitations.later")}</Button>
        </Stack>
      </Outside>
    );
  }
  if (step === "key") {
    return (
      <Outside title={t("key.title")}>
        <KeyForm onOpen={go} onBack={() => setStep("password")} />
      </Outside>
    );
  }
  return (
    <Outside title={t("sign-in.title")}>
      <PasswordForm onSignedIn={welcome} />
      <Divider my="md" />
      <Stack gap={6} align="flex-start">
        <Anchor size="sm" href={`/sign-up?to=${encodeURIComponent(target)}`}>{t("sign-in.no-account")}</Anchor>
        <Anchor size="sm" href="/reset-password">{t("sign-in.forgotten")}</Anchor>
        <Anchor size="sm" component="button" type="button" onClick={() => setStep("key")}>{t("sign-in.by-key")}</Anchor>
      </Stack>
    </Outside>
  );
}

const asksForCode = (error: unknown) =>
  error instanceof Refusal && ["second_factor_needed", "bad_second_factor"].includes(error.code);

function PasswordForm({ onSignedIn }: { onSignedIn: () => Promise<void> }) {
  const { t } = useWords("account");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [isAskedForCode, setIsAskedForCode] = useState(false);
  const signing = useMutation({
    mutationFn: async () => {
      await logIn({ email, password, code: code || null });
      await onSignedIn();
    },
    onError: (error) => {
      if (asksForCode(error)) setIsAskedForCode(true);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signing.mutate();
  };
  const isFirstAsk = isAskedForCode && !code && asksForCode(signing.error);
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label={t("field.email")} type="email" autoComplete="username" required autoFocus value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
        <PasswordInput label={t("field.password")} autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} />
        {isAskedForCode && (
          <TextInput label={t("field.code")} description={t("sign-in.code-hint")} autoComplete="one-time-code" required autoFocus value={code} onChange={(event) => setCode(event.currentTarget.value)} />
        )}
        {isFirstAsk ? <Text size="sm" role="status">{t("sign-in.code-needed")}</Text> : <Wrong text={otherFault(signing.error, [])} />}
        <Button type="submit" loading={signing.isPending} fullWidth>{t("sign-in.do")}</Button>
      </Stack>
    </form>
  );
}
