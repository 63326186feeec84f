// What a customer sees: the meters and sites that they were assigned.

import { Button, Group, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { sitesQuery } from "~/api/place";
import { sentenceOf } from "~/api/problem";
import { thingsQuery } from "~/api/things";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { assignmentsQuery, useAssign, useUnassign, type Member } from "./queries";

export function Assignments({ member, organisation, onClose }: { member: Member; organisation: string; onClose: () => void }) {
  const { t } = useWords("administration");
  const assignments = useQuery(assignmentsQuery(organisation, member.user_id));
  const { data: sites = [] } = useQuery(sitesQuery);
  const { data: things = [] } = useQuery(thingsQuery);
  const [chosen, setChosen] = useState<string | null>(null);
  const assign = useAssign();
  const unassign = useUnassign();
  const names = new Map([...sites, ...things].map((one) => [one.id, one.name]));
  const error = assign.error ?? unassign.error;
  return (
    <Card title={t("assignments.title", { name: member.name })} aside={<Button size="xs" variant="default" onClick={onClose}>{t("common:action.close")}</Button>}>
      <Stack gap="sm">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!chosen) return;
            const [kind, id] = [chosen.startsWith("site ") ? "site" : "device", chosen.slice(chosen.indexOf(" ") + 1)] as const;
            assign.mutate({ user: member.user_id, kind, id }, { onSuccess: () => setChosen(null) });
          }}
        >
          <Group align="flex-end" gap="sm">
            <Select
              searchable
              limit={50}
              w={{ base: "100%", xs: 320 }}
              label={t("assignments.choose")}
              value={chosen}
              onChange={setChosen}
              data={[
                { group: t("assignments.sites"), items: sites.map((one) => ({ value: `site ${one.id}`, label: one.name })) },
                { group: t("assignments.devices"), items: things.map((one) => ({ value: `device ${one.id}`, label: one.name === one.id ? one.id : `${one.name} (${one.id})` })) },
              ]}
            />
            <Button type="submit" disabled={!chosen} loading={assign.isPending}>{t("assignments.assign")}</Button>
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
                  <Text size="sm">{t(`assignments.${one.kind}`)} {names.get(one.id) ?? one.id}</Text>
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
