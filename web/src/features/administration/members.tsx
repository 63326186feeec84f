// Who belongs to the organisation, what they may do, and who is invited.

import { Button, Group, NativeSelect, Stack, Table, Text, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Refusal, sentenceOf } from "~/api/problem";
import type { Session } from "~/api/session";
import { may } from "~/api/session";
import { useWords } from "~/language/use-words";
import { showDay } from "~/lib/time";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { SureButton } from "~/ui/sure-button";
import { WideTable } from "~/ui/wide-table";
import { Assignments } from "./assignments";
import {
  invitationsQuery, membersQuery, ROLES, useChangeMember, useInvite, useRemoveMember, useWithdraw, type Member, type Role,
} from "./queries";

export function Members({ session }: { session: Session }) {
  const { t } = useWords("administration");
  const members = useQuery(membersQuery(session.organisationId));
  const [chosen, setChosen] = useState<Member | null>(null);
  return (
    <Stack gap="md">
      <Card title={t("members.title")}>
        <Shown of={members} height={200}>
          {(items) => (
            <WideTable minWidth={560} label={t("members.title")}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>{t("members.name")}</Table.Th>
                    <Table.Th>{t("members.role")}</Table.Th>
                    <Table.Th>{t("members.since")}</Table.Th>
                    <Table.Th>{t("members.does")}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((one) => <Row key={one.user_id} member={one} session={session} onAssignments={() => setChosen(one)} />)}
                </Table.Tbody>
              </Table>
            </WideTable>
          )}
        </Shown>
      </Card>
      {chosen && <Assignments member={chosen} organisation={session.organisationId} onClose={() => setChosen(null)} />}
      {may(session, "invitations:read") && <Invitations session={session} />}
    </Stack>
  );
}

function Row({ member, session, onAssignments }: { member: Member; session: Session; onAssignments: () => void }) {
  const { t, locale } = useWords("administration");
  const change = useChangeMember(session.organisationId);
  const remove = useRemoveMember(session.organisationId);
  const isMe = session.me?.id === member.user_id;
  const mayChange = may(session, "members:change") && !isMe;
  const error = change.error ?? remove.error;
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={600}>{member.name}{isMe ? ` (${t("members.me")})` : ""}</Text>
        <Text size="xs" c="dimmed">{member.email}</Text>
        {error && <Text size="xs" c="var(--kw-high)" role="alert">{sentenceOf(error)}</Text>}
      </Table.Td>
      <Table.Td>
        <NativeSelect
          size="xs"
          aria-label={t("members.role-of", { name: member.name })}
          value={member.role}
          disabled={!mayChange || change.isPending}
          onChange={(event) => change.mutate({ user: member.user_id, role: event.currentTarget.value as Role })}
          data={ROLES.map((one) => ({ value: one, label: t(`role.${one}`) }))}
        />
      </Table.Td>
      <Table.Td>{showDay(Date.parse(member.created_at), "UTC", locale)}</Table.Td>
      <Table.Td>
        <Group gap="xs" wrap="nowrap">
          {member.role === "customer" && may(session, "assignments:read") && (
            <Button size="compact-xs" variant="default" onClick={onAssignments}>{t("members.sees")}</Button>
          )}
          <SureButton
            size="compact-xs"
            disabled={!mayChange || member.is_personal}
            loading={remove.isPending}
            label={t("members.remove", { name: member.name })}
            question={t("members.remove-hint", { name: member.name })}
            onSure={() => remove.mutate(member.user_id)}
          >
            <IconTrash size={16} />
          </SureButton>
        </Group>
      </Table.Td>
    </Table.Tr>
  );
}

function Invitations({ session }: { session: Session }) {
  const { t, locale } = useWords("administration");
  const invitations = useQuery(invitationsQuery(session.organisationId));
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const invite = useInvite(session.organisationId);
  const withdraw = useWithdraw(session.organisationId);
  const fields = invite.error instanceof Refusal ? invite.error.fields : {};
  return (
    <Card title={t("invitations.title")}>
      <Stack gap="sm">
        {may(session, "invitations:create") && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              invite.mutate({ email, role }, { onSuccess: () => setEmail("") });
            }}
          >
            <Group align="flex-end" gap="sm">
              <TextInput type="email" required label={t("invitations.email")} value={email} onChange={(event) => setEmail(event.currentTarget.value)} error={fields.email} />
              <NativeSelect label={t("members.role")} value={role} onChange={(event) => setRole(event.currentTarget.value as Role)} data={ROLES.map((one) => ({ value: one, label: t(`role.${one}`) }))} />
              <Button type="submit" loading={invite.isPending}>{t("invitations.send")}</Button>
            </Group>
            {invite.error && !fields.email && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(invite.error)}</Text>}
            {invite.isSuccess && <Text size="sm" role="status">{t("invitations.sent")}</Text>}
          </form>
        )}
        <Shown of={invitations} height={60}>
          {(items) =>
            items.length === 0 ? (
              <Text size="sm" c="dimmed">{t("invitations.none")}</Text>
            ) : (
              items.map((one) => (
                <Group key={one.id} justify="space-between">
                  <Text size="sm">{one.email} · {t(`role.${one.role}`)} · {t("invitations.until", { day: showDay(Date.parse(one.expires_at), "UTC", locale) })}</Text>
                  <Button size="compact-xs" variant="default" onClick={() => withdraw.mutate(one.id)}>{t("invitations.withdraw")}</Button>
                </Group>
              ))
            )
          }
        </Shown>
      </Stack>
    </Card>
  );
}
