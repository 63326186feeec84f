// How a device is set and how it fares: words beside a colour.

import { Badge } from "@mantine/core";
import type { Device } from "~/api/devices";
import { useWords } from "~/language/use-words";

const STATE_COLORS = { on: "--kw-good", standby: "--kw-medium", off: "--kw-quiet" };
const STATUS_COLORS = { active: "--kw-good", inactive: "--kw-quiet", maintenance: "--kw-medium", error: "--kw-critical" };

function Word({ text, color }: { text: string; color: string }) {
  return <Badge variant="outline" styles={{ root: { color: `var(${color})`, borderColor: `var(${color})`, textTransform: "none" } }}>{text}</Badge>;
}

export function StateBadge({ state }: { state: Device["state"] }) {
  const { t } = useWords("devices");
  return <Word text={t(`state.${state}`)} color={STATE_COLORS[state]} />;
}

/** Whether a device is in service; what is active needs no word in a list. */
export function StatusBadge({ status }: { status: Device["status"] }) {
  const { t } = useWords("devices");
  return <Word text={t(`status.${status}`)} color={STATUS_COLORS[status]} />;
}
