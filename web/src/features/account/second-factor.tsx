// The second factor: switched on in three steps, and off.

import { Anchor, Button, Code, Group, PasswordInput, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import type { Schemas } from "~/api/client";
import { otherFault } from "~/api/fields";
import { sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { tellDone } from "~/ui/tell";
import { confirmFactor, endFactor, offerFactor } from "./queries";
import { QrCode } from "./qr-code";
import { Wrong } from "./wrong";

export function SecondFactor({ isOn }: { isOn: boolean }) {
  const { t } = useWords("account");
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  return (
    <Card title={t("factor.title")}>
      <Stack gap="sm" maw={460}>
        {codes ? (
          <Codes codes={codes} onKept={() => setCodes(null)} />
        ) : (
          <>
            <Text size="sm" c="dimmed">{t(isOn ? "factor.on" : "factor.off")}</Text>
            {isOn ? <End /> : <Begin onOn={setCodes} />}
          </>
        )}
      </Stack>
    </Card>
  );
}

interface PasswordStepProps {
  readonly word: string;
  readonly isPending: boolean;
  readonly error: unknown;
  readonly withCode?: boolean;
  readonly onGo: (password: string, code: string) => void;
}

function PasswordStep({ word, isPending, error, withCode, onGo }: PasswordStepProps) {
  const { t } = useWords("account");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onGo(password, code);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <PasswordInput label={t("field.old-password")} autoComplete="current-password" required value={password} visibilityToggleButtonProps={{ "aria-label": t("field.show-password") }} onChange={(event) => setPassword(event.currentTarget.value)} />
        {withCode && <TextInput label={t("factor.code-or-recovery")} autoComplete="one-time-code" required value={code} onChange={(event) => setCode(event.currentTarget.value)} />}
        <Wrong text={otherFault(error, [])} />
        <Group><Button type="submit" variant="default" loading={isPending}>{t(word)}</Button></Group>
      </Stack>
    </form>
  );
}

function Begin({ onOn }: { onOn: (codes: readonly string[]) => void }) {
  const offering = useMutation({ mutationFn: offerFactor });
  if (offering.data) return <Confirm offer={offering.data} onOn={onOn} />;
  return <PasswordStep word="factor.begin" isPending={offering.isPending} error={offering.error} onGo={(password) => offering.mutate(password)} />;
}

function Confirm({ offer, onOn }: { offer: Schemas["SecondFactorOffered"]; onOn: (codes: readonly string[]) => void }) {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const [code, setCode] = useState("");
  const confirming = useMutation({
    mutationFn: () => confirmFactor(code.trim()),
    onSuccess: (answer) => {
      onOn(answer.recovery_codes);
      return queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    confirming.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Text size="sm">{t("factor.scan")}</Text>
        <QrCode text={offer.uri} label={t("factor.qr")} />
        <div>
          <Text size="sm" fw={500}>{t("factor.secret")}</Text>
          <Code style={{ overflowWrap: "anywhere" }}>{offer.secret}</Code>
        </div>
        <Anchor size="sm" href={offer.uri}>{t("factor.open")}</Anchor>
        <TextInput label={t("field.code")} inputMode="numeric" autoComplete="one-time-code" required autoFocus value={code} onChange={(event) => setCode(event.currentTarget.value)} />
        <Wrong text={otherFault(confirming.error, [])} />
        <Group><Button type="submit" loading={confirming.isPending}>{t("factor.confirm")}</Button></Group>
      </Stack>
    </form>
  );
}

function Codes({ codes, onKept }: { codes: readonly string[]; onKept: () => void }) {
  const { t } = useWords("account");
  return (
    <Stack gap="sm" role="status">
      <Text fw={600}>{t("factor.codes")}</Text>
      <Text size="sm">{t("factor.codes-hint")}</Text>
      <SimpleGrid cols={2} spacing={4}>{codes.map((one) => <Code key={one}>{one}</Code>)}</SimpleGrid>
      <Group>
        <Button variant="default" onClick={() => void navigator.clipboard.writeText(codes.join("\n"))}>{t("common:action.copy")}</Button>
        <Button onClick={onKept}>{t("factor.kept")}</Button>
      </Group>
    </Stack>
  );
}

function End() {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const ending = useMutation({
    mutationFn: endFactor,
    onSuccess: () => {
      tellDone(t("factor.is-off"));
      return queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
    },
  });
  return <PasswordStep word="factor.end" withCode isPending={ending.isPending} error={ending.error} onGo={(password, code) => ending.mutate({ password, code })} />;
}
