// Invitations to organisations, to be taken or declined.

import { Button, Group, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { chooseOrganisation } from "~/api/client";
import { sentenceOf } from "~/api/problem";
import { sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { Shown } from "~/ui/states";
import { accept, decline, invitationsQuery, type Invitation } from "./queries";
import { Wrong } from "./wrong";

/** onAccepted: what happens with somebody who has joined; the organisation is chosen already. */
export function Invitations({ onAccepted }: { onAccepted: () => void }) {
  const { t } = useWords("account");
  const asked = useQuery(invitationsQuery);
  return (
    <Shown of={asked} height={60}>
      {(invitations) =>
        invitations.length ? (
          <Stack gap="sm">
            {invitations.map((one) => <One key={one.id} invitation={one} onAccepted={onAccepted} />)}
          </Stack>
        ) : (
          <Text size="sm" c="dimmed">{t("invitations.none")}</Text>
        )
      }
    </Shown>
  );
}

function One({ invitation, onAccepted }: { invitation: Invitation; onAccepted: () => void }) {
  const { t } = useWords("account");
  const queries = useQueryClient();
  const renew = async () => {
    await queries.invalidateQueries({ queryKey: invitationsQuery.queryKey });
    await queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
  };
  const joining = useMutation({
    mutationFn: () => accept(invitation.id),
    onSuccess: () => {
      chooseOrganisation(invitation.slug);
      onAccepted();
    },
  });
  const declining = useMutation({ mutationFn: () => decline(invitation.id), onSuccess: renew });
  const failed = joining.error ?? declining.error;
  return (
    <Stack gap="xs">
      <Text size="sm">{t("invitations.to", { name: invitation.name, role: t(`role.${invitation.role}`) })}</Text>
      <Group gap="xs">
        <Button size="xs" loading={joining.isPending} onClick={() => joining.mutate()}>{t("invitations.join")}</Button>
        <Button size="xs" variant="default" loading={declining.isPending} onClick={() => declining.mutate()}>
          {t("invitations.decline")}
        </Button>
      </Group>
      <Wrong text={failed ? sentenceOf(failed) : null} />
    </Stack>
  );
}
