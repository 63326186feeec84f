// Home of one site.

import { Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Device } from "~/api/devices";
import type { Site } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { Failure, Loading, Shown } from "~/ui/states";
import { AlertsCard } from "./alerts-card";
import { Answers } from "./answers";
import { balanceOf } from "~/lib/balance";
import { FlowCard } from "./flow-card";
import { Gauge } from "./gauge";
import classes from "./home.module.css";
import { HouseMap } from "./house-map";
import { NoDevices } from "./no-devices";
import { MOST_USUAL, todayQuery, usualQuery } from "./queries";
import { Ranking } from "./ranking";
import { rankingOf, totalOf, usualOf } from "./today";
import { useHome, useOpenAlerts } from "./use-home";

const HEIGHT = 420;

/** Today and the usual of a site, as its roles make them. */
function useDays(site: Site, devices: readonly Device[] | undefined, roles: ReturnType<typeof useHome>["roles"]) {
  const today = useQuery(todayQuery(site));
  const isTooLarge = (devices?.length ?? 0) > MOST_USUAL;
  // Begun after the first answer, which nobody shall wait longer for.
  const before = useQuery({ ...usualQuery(site), enabled: today.isSuccess && devices !== undefined && !isTooLarge });
  const day = useMemo(() => (today.data && devices ? totalOf(today.data, roles) : undefined), [today.data, devices, roles]);
  const usual = useMemo(
    () => (before.data && today.data ? usualOf(before.data, roles, Date.parse(today.data.end)) : null),
    [before.data, today.data, roles],
  );
  return { today, day, usual, isTooLarge };
}

export function SiteView({ site }: { site: Site }) {
  const { data: session } = useQuery(sessionQuery);
  const mayAlerts = may(session, "alerts:read");
  const { devices, roles, parts } = useHome(site.id);
  const { today, day, usual, isTooLarge } = useDays(site, devices.data, roles);
  const open = useOpenAlerts(site.id, mayAlerts);
  const balance = useMemo(() => balanceOf(parts), [parts]);

  if (devices.data?.length === 0) return <NoDevices site={site} />;
  if (devices.error && !devices.data) return <Failure error={devices.error} onRetry={() => void devices.refetch()} />;
  const price = today.data ? Number(today.data.price_per_kwh) : null;
  return (
    <Stack gap="md">
      <Answers
        balance={balance}
        day={day}
        usual={usual}
        currency={site.currency}
        price={price}
        alerts={open}
      />
      <div className={classes.wide}>
        {devices.data ? <FlowCard balance={balance} parts={parts} selfSufficiency={day?.selfSufficiency ?? null} /> : <Loading height={HEIGHT} />}
        <Gauge now={balance.isKnown ? balance.use : null} usual={usual} isTooLarge={isTooLarge} />
      </div>
      <div className={classes.halves}>
        {devices.data ? <HouseMap devices={devices.data} parts={parts} /> : <Loading height={HEIGHT} />}
        <Shown of={today} height={HEIGHT}>
          {(energy) =>
            day ? (
              <Ranking ranked={rankingOf(energy, devices.data ?? [], roles)} parts={parts} day={day} price={Number(energy.price_per_kwh)} currency={energy.currency} />
            ) : (
              <Loading height={HEIGHT} />
            )
          }
        </Shown>
      </div>
      {mayAlerts && <AlertsCard siteId={site.id} zone={site.time_zone} />}
    </Stack>
  );
}
