// Whether anything is wrong, in two words.

import { Link } from "@tanstack/react-router";
import { useWords } from "~/language/use-words";
import classes from "./home.module.css";
import { Tile } from "./tile";

/** alerts: how many are open; null where the reader may not see them, undefined while they are not known. */
export function AlertsTile({ alerts }: { alerts: number | null | undefined }) {
  const { t } = useWords("home");
  if (alerts === null) return <Tile label={t("wrong")} figure="–" under={t("common:state.no-right")} />;
  if (alerts === undefined) return <Tile label={t("wrong")} figure="–" under={"\u00a0"} />;
  if (alerts === 0) return <Tile label={t("wrong")} figure={t("nothing-wrong")} color="--kw-good" under={t("nothing-wrong-hint")} />;
  return (
    <Tile
      label={t("wrong")}
      figure={<Link to="/alerts" className={classes.plainLink}>{t("open-alerts", { count: alerts })}</Link>}
      color="--kw-high"
      under={t("look-after")}
    />
  );
}
