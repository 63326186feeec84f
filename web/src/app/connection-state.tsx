// Whether what is shown is live, and if not, of when it is.

import { Badge } from "@mantine/core";
import { newestKeptMs } from "~/api/kept";
import { useSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { showClock } from "~/lib/time";
import { feed, useConnection } from "~/live/hooks";

const COLORS = { live: "--kw-good", connecting: "--kw-quiet", reconnecting: "--kw-medium", offline: "--kw-high", refused: "--kw-high" };

export function ConnectionState() {
  const { t, locale } = useWords();
  const { site } = useSite();
  const state = useConnection();
  const shownMs = feed.lastHeardMs || newestKeptMs();
  const isOld = state === "offline" && shownMs > 0;
  const word = isOld
    ? t("connection.offline-since", { time: showClock(shownMs, site?.time_zone ?? "UTC", locale) })
    : t(`connection.${state}`);
  const color = `var(${COLORS[state]})`;
  return (
    <Badge role="status" variant="outline" styles={{ root: { color, borderColor: color, textTransform: "none" } }} data-connection={state}>
      {word}
    </Badge>
  );
}
