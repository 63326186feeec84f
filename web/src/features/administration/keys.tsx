// API keys: for programs and meters. A key's secret is shown once.

import { Badge, Button, Checkbox, Code, CopyButton, Group, Stack, Table, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentenceOf } from "~/api/problem";
import { may, type Session } from "~/api/session";
import { useWords } from "~/language/use-words";
import { showDay } from "~/lib/time";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { SureButton } from "~/ui/sure-button";
import { WideTable } from "~/ui/wide-table";
import { keysQuery, SCOPES, useMakeKey, useRevokeKey, type Scope } from "./queries";

export function Keys({ session }: { session: Session }) {
  const { t, locale } = useWords("administration");
  const keys = useQuery(keysQuery);
  const revoke = useRevokeKey();
  return (
    <Stack gap="md">
      {may(session, "api_keys:create") && <NewKey />}
      <Card title={t("keys.title")}>
        {revoke.error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(revoke.error)}</Text>}
        <Shown of={keys} height={160}>
          {(items) =>
            items.length === 0 ? (
              <Text size="sm" c="dimmed">{t("keys.none")}</Text>
            ) : (
              <WideTable minWidth={560} label={t("keys.title")}>
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t("keys.name")}</Table.Th>
                      <Table.Th>{t("keys.begins")}</Table.Th>
                      <Table.Th>{t("keys.scopes")}</Table.Th>
                      <Table.Th>{t("keys.made")}</Table.Th>
                      <Table.Th>{t("members.does")}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {items.map((one) => (
                      <Table.Tr key={one.id}>
                        <Table.Td>{one.name}</Table.Td>
                        <Table.Td><Code>{one.prefix}…</Code></Table.Td>
                        <Table.Td>{one.scopes.map((scope) => t(`scope.${scope}`)).join(", ")}</Table.Td>
                        <Table.Td>{showDay(Date.parse(one.created_at), "UTC", locale)}</Table.Td>
                        <Table.Td>
                          {one.revoked_at ? (
                            <Badge variant="outline" color="gray">{t("keys.revoked")}</Badge>
                          ) : (
                            <SureButton
                              size="compact-xs"
                              disabled={!may(session, "api_keys:delete")}
                              label={t("keys.revoke-this", { name: one.name })}
                              question={t("keys.revoke-hint", { name: one.name })}
                              onSure={() => revoke.mutate(one.id)}
                            >
                              {t("keys.revoke")}
                            </SureButton>
                          )}
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </WideTable>
            )
          }
        </Shown>
      </Card>
    </Stack>
  );
}

function NewKey() {
  const { t } = useWords("administration");
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<string[]>(["ingest"]);
  const [mayRegister, setRegister] = useState(false);
  const make = useMakeKey();
  return (
    <Card title={t("keys.new")}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          make.mutate({ name, scopes: scopes as Scope[], auto_register: mayRegister }, { onSuccess: () => setName("") });
        }}
      >
        <Stack gap="sm">
          <TextInput maw={420} required label={t("keys.name")} maxLength={200} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Checkbox.Group label={t("keys.scopes")} value={scopes} onChange={setScopes}>
            <Group mt={4}>{SCOPES.map((one) => <Checkbox key={one} value={one} label={t(`scope.${one}`)} />)}</Group>
          </Checkbox.Group>
          <Checkbox checked={mayRegister} onChange={(event) => setRegister(event.currentTarget.checked)} label={t("keys.auto")} />
          {make.error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(make.error)}</Text>}
          {make.data && (
            <Stack gap={4} role="status">
              <Text size="sm">{t("keys.once")}</Text>
              <Group wrap="nowrap">
                <Code block style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }}>{make.data.key}</Code>
                <CopyButton value={make.data.key}>
                  {({ copied, copy }) => <Button size="xs" variant="default" onClick={copy}>{t(copied ? "common:action.copied" : "common:action.copy")}</Button>}
                </CopyButton>
              </Group>
            </Stack>
          )}
          <Group><Button type="submit" loading={make.isPending} disabled={!scopes.length}>{t("keys.make")}</Button></Group>
        </Stack>
      </form>
    </Card>
  );
}
