// What people do with an alert: look after it, end it, hide it for a time.

import { Button, Group, Menu } from "@mantine/core";
import { IconCheck, IconChevronDown, IconEye, IconEyeOff, IconUserCheck } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { tellFailure } from "~/ui/tell";
import { doTo, type Alert, type Doing } from "./queries";
import { actsOf } from "./state";

/** For how long an alert can be hidden: hours; null: as long as it lives. */
const HIDDEN_H = [1, 8, 24, 168, null] as const;

const untilIn = (hours: number | null) => (hours === null ? undefined : new Date(Date.now() + hours * 3_600_000).toISOString());

export function Acts({ alert }: { alert: Alert }) {
  const { t } = useWords("alerts");
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const acting = useMutation({
    mutationFn: (doing: Omit<Doing, "id">) => doTo({ ...doing, id: alert.id }),
    onError: tellFailure,
    onSettled: () => queries.invalidateQueries({ queryKey: ["alerts"] }),
  });
  const acts = may(session, "alerts:change") ? actsOf(alert) : [];
  if (!acts.length) return null;
  const busy = acting.isPending ? acting.variables.act : null;
  return (
    <Group gap="xs">
      {acts.includes("acknowledge") && (
        <Button leftSection={<IconUserCheck size={16} />} loading={busy === "acknowledge"} onClick={() => acting.mutate({ act: "acknowledge" })}>{t("act.acknowledge")}</Button>
      )}
      {acts.includes("lift") && (
        <Button variant="default" leftSection={<IconEye size={16} />} loading={busy === "lift"} onClick={() => acting.mutate({ act: "lift" })}>{t("act.lift")}</Button>
      )}
      {acts.includes("resolve") && (
        <Button variant="default" leftSection={<IconCheck size={16} />} loading={busy === "resolve"} onClick={() => acting.mutate({ act: "resolve" })}>{t("act.resolve")}</Button>
      )}
      {acts.includes("suppress") && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button variant="default" leftSection={<IconEyeOff size={16} />} rightSection={<IconChevronDown size={14} />} loading={busy === "suppress"}>{t("act.suppress")}</Button>
          </Menu.Target>
          <Menu.Dropdown>
            {HIDDEN_H.map((hours) => (
              <Menu.Item key={hours} onClick={() => acting.mutate({ act: "suppress", until: untilIn(hours) })}>
                {hours === null ? t("hide.always") : t("hide.hours", { count: hours })}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </Group>
  );
}
