// A word on the screen for each alert that is raised, said politely to screen readers. What pages that are not in sight
// keep of alerts is old from then on: they missed what was told.

import { Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { useTopic } from "~/live/hooks";
import { Severity, type SeverityName } from "~/ui/severity";

const SHOWN_MS = 5_000;
const KEYS = [["alerts"], ["control-room"]];

interface AlertTold {
  readonly id: string;
  readonly severity: SeverityName;
  readonly status: string;
  readonly title: string;
  readonly description: string;
}

/** Shows a toast for each alert that is open. */
export function useAlertToasts(): void {
  const { t } = useWords();
  const go = useNavigate();
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  useTopic(may(session, "alerts:read") ? "alerts" : null, ({ data, type }) => {
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey, refetchType: "none" });
    const alert = data as unknown as AlertTold;
    if (type !== "alert" || alert.status !== "open") return;
    notifications.show({
      id: alert.id,
      autoClose: SHOWN_MS,
      role: "status",
      title: <><Severity of={alert.severity} /> {alert.title}</>,
      message: <Text size="sm" lineClamp={2}>{alert.description}</Text>,
      withBorder: true,
      color: `var(--kw-${alert.severity})`,
      closeButtonProps: { "aria-label": t("toast.close") },
      style: { cursor: "pointer" },
      onClick: () => void go({ to: "/alerts/$alert", params: { alert: alert.id } } as never),
    });
  });
}
