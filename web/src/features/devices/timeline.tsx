// What became of each command, live: queued, processing, and how it ended.

import { Button, Group, Stack, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { commandsQuery, type Command } from "~/api/devices";
import { sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { show } from "~/lib/units";
import { useEvents } from "~/live/hooks";
import { outrun, readAnew } from "~/live/read-anew";
import { Empty, Shown } from "~/ui/states";
import classes from "./devices.module.css";
import { useCancelCommand } from "./queries";
import { senderOf, stepsOf, withCommand } from "./steps";

const HEIGHT = 120;
const MOST_SHOWN = 6;

export function Timeline({ device, zone, mayCancel }: { device: string; zone: string; mayCancel: boolean }) {
  const { t } = useWords("devices");
  const commands = useQuery(commandsQuery(device));
  const queries = useQueryClient();
  const key = commandsQuery(device).queryKey;
  useEvents(
    "commands",
    ({ data }) => {
      const told = data as unknown as Command;
      if (told.device !== device) return;
      queries.setQueryData(key, (found) => found && { ...found, items: withCommand(found.items, told) });
      outrun(queries, key);
    },
    () => void readAnew(queries, key),
  );
  return (
    <div aria-live="polite" style={{ minHeight: HEIGHT }}>
      <Shown of={commands} height={HEIGHT}>
        {({ items }) =>
          items.length ? (
            <Stack gap="md">{items.slice(0, MOST_SHOWN).map((command) => <One key={command.id} command={command} zone={zone} mayCancel={mayCancel} />)}</Stack>
          ) : (
            <Empty title={t("commands.none")}>{t("commands.none-hint")}</Empty>
          )
        }
      </Shown>
    </div>
  );
}

function One({ command, zone, mayCancel }: { command: Command; zone: string; mayCancel: boolean }) {
  const { t, locale } = useWords("devices");
  const { data: session } = useQuery(sessionQuery);
  const cancel = useCancelCommand(command.device);
  const { state, power_w: watts } = command.arguments as { state?: string; power_w?: number };
  const what = watts === undefined ? (state ?? "") : show(watts, "W", locale);
  const name = ["set_state", "set_power", "toggle"].includes(command.name) ? t(`commands.name.${command.name}`) : command.name;
  return (
    <article data-command={command.status}>
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>{name} {what}</Text>
        <Text size="xs" c="dimmed">{showTime(Date.parse(command.created_at), zone, locale, true)}, {t(`commands.by.${senderOf(command.requested_by, session?.me?.id)}`)}</Text>
      </Group>
      <ol className={classes.steps}>
        {stepsOf(command.status).map(({ status, isDone }) => (
          <li key={status} className={classes.step} data-done={isDone ? "" : undefined} data-end={isDone ? status : undefined}>
            {t(`commands.status.${status}`)}
            {status === "processing" && isDone && command.tries > 1 && ` (${t("commands.tries", { count: command.tries })})`}
          </li>
        ))}
      </ol>
      {command.detail && <Text size="sm" c="dimmed">{command.detail}</Text>}
      {mayCancel && command.status === "queued" && (
        <Button size="compact-xs" variant="subtle" loading={cancel.isPending} onClick={() => cancel.mutate(command.id)}>{t("commands.cancel")}</Button>
      )}
    </article>
  );
}
