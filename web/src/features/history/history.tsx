// The history of a site: its period, what is looked at, and the cards that show it.

import { Button, Group, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { chooseSite, useSite, type Site } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { metricName } from "~/language/metric-name";
import { useWords } from "~/language/use-words";
import type { View } from "~/period/search";
import { InTurn } from "~/ui/in-turn";
import { Empty, Failure, Loading, Shown } from "~/ui/states";
import { EnergyCard } from "./energy-card";
import { LinesCards } from "./lines-card";
import { MarksCard } from "./marks-card";
import { PeriodBar } from "./period-bar";
import { devicesQuery, type Device } from "./queries";
import { Selection } from "./selection";
import { SourcesCard } from "./sources-card";
import { useEnergy } from "./use-energy";
import { devicesOfLines, useLines } from "./use-lines";
import { useMarks } from "./use-marks";
import { useLook, useMinute, useSiteInView, useView, type Change } from "./use-view";

const SITES = 12;

export function History() {
  const { t } = useWords("history");
  const { data: session } = useQuery(sessionQuery);
  const { site, sites, isPending, error } = useSite();
  const [view, change] = useView();
  useSiteInView(view, change, site, sites);
  if (session && !may(session, "readings:read")) return <Empty title={t("common:state.no-right")}>{t("common:state.no-right-hint")}</Empty>;
  if (isPending) return <Loading height={600} />;
  if (error) return <Failure error={error} />;
  if (site) return <OfSite key={site.id} site={site} view={view} onChange={change} />;
  if (!sites.length) return <Empty title={t("site.none")}>{t("site.none-hint")}</Empty>;
  const buttons = sites.slice(0, SITES).map((one) => (
    <Button key={one.id} variant="default" onClick={() => chooseSite(one.id)}>{one.name}</Button>
  ));
  return <Empty title={t("site.choose")} action={<Group gap="xs" justify="center">{buttons}</Group>}>{t("site.choose-hint")}</Empty>;
}

interface OfSiteProps {
  readonly site: Site;
  readonly view: View;
  readonly onChange: Change;
}

function OfSite(props: OfSiteProps) {
  const { t } = useWords("history");
  const devices = useQuery(devicesQuery(props.site.id));
  return (
    <Shown of={devices} height={600}>
      {(found) => (found.length ? <Found {...props} devices={found} /> : <Empty title={t("device.none")}>{t("device.none-hint")}</Empty>)}
    </Shown>
  );
}

function Found({ site, view, onChange: change, devices }: OfSiteProps & { devices: readonly Device[] }) {
  const { t } = useWords("history");
  const named = useCallback((metric: string) => metricName(metric, t), [t]);
  const nowMs = useMinute();
  const look = useLook(view, site, nowMs);
  const zone = site.time_zone;
  const marks = useMarks(site.id, look.seen, view.devices, nowMs);
  const energy = useEnergy(view, look, site, devices, { others: t("others"), untracked: t("untracked") });
  const drawn = devicesOfLines(view.devices, devices, energy.energy?.sources);
  const lines = useLines(view, look, site, drawn, energy.energy?.sources, named);
  const common = { view, look, zone, nowMs, markers: marks.markers, onChange: change };
  const left = view.devices.length || !drawn ? 0 : devices.length - drawn.length;

  return (
    <Stack gap="md">
      <PeriodBar view={view} look={look} zone={zone} onChange={change} />
      <InTurn height={61}>
        <Selection view={view} site={site.id} devices={devices} onChange={change} />
      </InTurn>
      <EnergyCard of={energy} {...common} />
      <InTurn height={400}>
        <LinesCards of={lines} {...common} left={left} />
        <InTurn height={300}>
          {(energy.energy || !energy.query.error) && <SourcesCard energy={energy.energy} />}
          <InTurn height={120}>
            <MarksCard marks={marks} zone={zone} />
          </InTurn>
        </InTurn>
      </InTurn>
    </Stack>
  );
}
