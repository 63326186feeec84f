// Signing up in three steps: who you are, the code from the mail, and what to begin with.

import { Anchor, Button, PasswordInput, PinInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { faultsOf, otherFault } from "~/api/fields";
import { chooseOrganisation } from "~/api/client";
import { chooseSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { Invitations } from "./invitations";
import { countInvitations, makeDemoHome, signUp, verify } from "./queries";
import { Outside } from "./outside";
import { targetOf } from "./target";
import { Wrong } from "./wrong";

interface Person {
  readonly name: string;
  readonly email: string;
  readonly password: string;
}

type Step = "person" | "code" | "begin";
const FIELDS = ["name", "email", "password"];
const CODE_DIGITS = 6;

export function SignUp({ to }: { to: unknown }) {
  const { t } = useWords("account");
  const [step, setStep] = useState<Step>("person");
  const [person, setPerson] = useState<Person>({ name: "", email: "", password: "" });
  return (
    <Outside title={t(`sign-up.title-${step}`)}>
      {step === "person" && <PersonForm person={person} onChange={setPerson} onSent={() => setStep("code")} to={targetOf(to)} />}
      {step === "code" && <CodeForm person={person} onBack={() => setStep("person")} onVerified={() => setStep("begin")} />}
      {step === "begin" && <Begin target={targetOf(to)} />}
    </Outside>
  );
}

interface PersonFormProps {
  readonly person: Person;
  readonly onChange: (person: Person) => void;
  readonly onSent: () => void;
  readonly to: string;
}

function PersonForm({ person, onChange, onSent, to }: PersonFormProps) {
  const { t } = useWords("account");
  const sending = useMutation({ mutationFn: () => signUp(person), onSuccess: onSent });
  const faults = faultsOf(sending.error);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    sending.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label={t("field.name")} autoComplete="name" required autoFocus value={person.name} error={faults.name} onChange={(event) => onChange({ ...person, name: event.currentTarget.value })} />
        <TextInput label={t("field.email")} type="email" autoComplete="username" required value={person.email} error={faults.email} onChange={(event) => onChange({ ...person, email: event.currentTarget.value })} />
        <PasswordInput label={t("field.password")} description={t("field.password-hint")} autoComplete="new-password" required minLength={10} value={person.password} error={faults.password} onChange={(event) => onChange({ ...person, password: event.currentTarget.value })} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} />
        <Wrong text={otherFault(sending.error, FIELDS)} />
        <Button type="submit" loading={sending.isPending}>{t("sign-up.do")}</Button>
        <Anchor size="sm" href={`/sign-in?to=${encodeURIComponent(to)}`}>{t("sign-up.has-account")}</Anchor>
      </Stack>
    </form>
  );
}

interface CodeFormProps {
  readonly person: Person;
  readonly onBack: () => void;
  readonly onVerified: () => void;
}

function CodeForm({ person, onBack, onVerified }: CodeFormProps) {
  const { t } = useWords("account");
  const [code, setCode] = useState("");
  const showing = useMutation({
    mutationFn: (shown: string) => verify({ email: person.email, code: shown }),
    onSuccess: () => {
      chooseOrganisation(null);
      chooseSite(null);
      onVerified();
    },
  });
  const again = useMutation({ mutationFn: () => signUp(person) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    showing.mutate(code);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm">{t("sign-up.code-hint", { email: person.email })}</Text>
        <PinInput length={CODE_DIGITS} type="number" oneTimeCode autoFocus value={code} onChange={setCode} onComplete={(full) => showing.mutate(full)} getInputProps={(at) => ({ "aria-label": t("sign-up.digit", { at: at + 1 }) })} aria-label={t("sign-up.code")} error={Boolean(showing.error)} />
        <Wrong text={otherFault(showing.error ?? again.error, [])} />
        <Button type="submit" loading={showing.isPending} disabled={code.length < CODE_DIGITS}>{t("sign-up.show-code")}</Button>
        <Button variant="default" loading={again.isPending} onClick={() => again.mutate()}>{t("sign-up.again")}</Button>
        {again.isSuccess && <Text size="sm" role="status">{t("sign-up.sent-again")}</Text>}
        <Anchor size="sm" component="button" type="button" onClick={onBack}>{t("sign-up.other-address")}</Anchor>
      </Stack>
    </form>
  );
}

function Begin({ target }: { target: string }) {
  const { t } = useWords("account");
  const { data: invited = 0 } = useQuery({ queryKey: ["invitations", "count"], queryFn: countInvitations });
  const making = useMutation({
    mutationFn: () => makeDemoHome(Intl.DateTimeFormat().resolvedOptions().timeZone),
    onSuccess: (home) => {
      chooseSite(home.id);
      location.assign("/");
    },
  });
  return (
    <Stack gap="sm">
      {invited > 0 && <Invitations onAccepted={() => location.assign("/")} />}
      <Text size="sm">{t("sign-up.demo-hint")}</Text>
      <Button loading={making.isPending} onClick={() => making.mutate()}>{t("sign-up.demo")}</Button>
      <Wrong text={otherFault(making.error, [])} />
      <Button variant="default" onClick={() => location.assign(target)}>{t("sign-up.own")}</Button>
    </Stack>
  );
}
