// The state of an alert in a word.

import { Badge } from "@mantine/core";
import { useWords } from "~/language/use-words";
import type { Alert } from "./queries";
import { stateOf, type State } from "./state";

const COLORS: Record<State, string> = {
  "active-unack": "--kw-high",
  "active-ack": "--kw-accent",
  suppressed: "--kw-quiet",
  "cleared-unack": "--kw-quiet",
  "cleared-ack": "--kw-good",
};

export function StateBadge({ alert }: { alert: Alert }) {
  const { t } = useWords("alerts");
  const state = stateOf(alert);
  const color = `var(${COLORS[state]})`;
  return (
    <Badge variant="outline" title={t(`state-hint.${state}`)} styles={{ root: { color, borderColor: color, textTransform: "none", minWidth: "max-content" } }}>
      {t(`state.${state}`)}
    </Badge>
  );
}
