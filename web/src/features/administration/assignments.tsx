// What a customer sees: the meters and sites that they were assigned.

import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sentenceOf } from "~/api/problem";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { assignmentsQuery, useAssign, useUnassign, type Member } from "./queries";

export function Assignments({ member, organisation, onClose }: { member: Member; organisation: string; onClose: () => void }) {
  const { t } = useWords("administration");
  const assignments = useQuery(assignmentsQuery(organisation, member.user_id));
  const [meter, setMeter] = useState("");
  const assign = useAssign();
  const unassign = useUnassign();
  const error = assign.error ?? unassign.error;
  return (
    <Card title={t("assignments.title", { name: member.name })} aside={<Button size="xs" variant="default" onClick={onClose}>{t("common:action.close")}</Button>}>
      <Stack gap="sm">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            assign.mutate({ user: member.user_id, kind: "device", id: meter.trim() }, { onSuccess: () => setMeter("") });
          }}
        >
          <Group align="flex-end" gap="sm">
            <TextInput required label={t("assignments.meter")} value={meter} onChange={(event) => setMeter(event.currentTarget.value)} />
            <Button type="submit" loading={assign.isPending}>{t("assignments.assign")}</Button>
          </Group>
        </form>
        {error && <Text size="sm" c="var(--kw-high)" role="alert">{sentenceOf(error)}</Text>}
        <Shown of={assignments} height={60}>
          {(items) =>
            items.length === 0 ? (
              <Text size="sm" c="dimmed">{t("assignments.none")}</Text>
            ) : (
              items.map((one) => (
                <Group key={`${one.kind} ${one.id}`} justify="space-between">
                  <Text size="sm">{t(`assignments.${one.kind}`)} {one.id}</Text>
                  <Button size="compact-xs" variant="default" onClick={() => unassign.mutate({ user: member.user_id, kind: one.kind, id: one.id })}>
                    {t("assignments.withdraw")}
                  </Button>
                </Group>
              ))
            )
          }
        </Shown>
      </Stack>
    </Card>
  );
}
