// Whether what is shown is live, and if not, of when it is.

import { newestKeptMs } from "~/api/kept";
import { useSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { showClock } from "~/lib/time";
import { feed, useConnection } from "~/live/hooks";
import classes from "./frame.module.css";

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
  return (
    <span role="status" className={classes.connection} style={{ color: `var(${COLORS[state]})` }} data-connection={state}>
      {word}
    </span>
  );
}
