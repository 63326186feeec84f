// Regions on a schematic map: a tile each, filled as far as its devices draw of what they may, with its sites.

import { Text } from "@mantine/core";
import type { Site } from "~/api/place";
import { useWords } from "~/language/use-words";
import { chooseScale, showIn } from "~/lib/units";
import { Card } from "~/ui/card";
import type { Region } from "./fleet";
import classes from "./region-map.module.css";

/** So many sites of a region are named. */
const MOST_SITES = 4;

export function RegionMap({ regions, sites }: { regions: readonly Region[]; sites: readonly Site[] }) {
  const { t, locale } = useWords("control-room");
  const scale = chooseScale("W", Math.max(...regions.map((one) => Math.abs(one.powerW)), 0));
  const most = Math.max(...regions.map((one) => Math.abs(one.powerW)), 1);
  const names = new Map(sites.map((one) => [one.id, one.name]));
  return (
    <Card title={t("map.title")}>
      <ul className={classes.map}>
        {regions.map((one) => {
          const name = one.name || t("map.nowhere");
          const part = Math.min(1, Math.abs(one.powerW) / (one.ratedW || most));
          return (
            <li key={one.name} className={classes.region}>
              <div className={classes.fill} style={{ blockSize: `${Math.round(part * 100)}%` }} aria-hidden />
              <Text fw={650} className={classes.word}>{name}</Text>
              <Text size="xl" fw={700} className={`kw-number ${classes.word}`}>{one.reporting ? showIn(one.powerW, scale, locale) : "–"}</Text>
              <Text size="xs" className={classes.word}>
                {t("map.reporting", { reporting: one.reporting, count: one.devices })}
                {one.ratedW > 0 && ` · ${t("map.load", { percent: Math.round(part * 100) })}`}
              </Text>
              <ul className={`${classes.sites} ${classes.word}`}>
                {one.sites.slice(0, MOST_SITES).map((site) => (
                  <li key={site.id} className={classes.site}>
                    <span className={classes.siteName}>{names.get(site.id) ?? site.id}</span>
                    <span className="kw-number">{site.reporting ? showIn(site.powerW, scale, locale) : "–"}</span>
                  </li>
                ))}
              </ul>
              {one.sites.length > MOST_SITES && <Text size="xs" className={classes.word}>{t("map.more", { count: one.sites.length - MOST_SITES })}</Text>}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
