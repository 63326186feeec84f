// The wall of an operator: what the fleet draws, where, what moves, what is wrong.

import { SimpleGrid } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { useWords } from "~/language/use-words";
import { useEvents, useReadings } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";
import { Empty, Shown } from "~/ui/states";
import { FigureRow } from "./figure-row";
import type { Placed } from "./fleet";
import { Alarms, CommandQueue, Movers } from "./lists";
import { PowerCard } from "./power-card";
import { fleetQuery } from "./queries";
import { RegionMap } from "./region-map";
import { useFleetPower } from "./use-fleet-power";

export function ControlRoomBoard() {
  const { t } = useWords("control-room");
  const fleet = useQuery(fleetQuery);
  return (
    <Shown of={fleet} height={500}>
      {(devices) => (devices.length ? <Board devices={devices} /> : <Empty title={t("empty.title")}>{t("empty.hint")}</Empty>)}
    </Shown>
  );
}

function Board({ devices }: { devices: readonly Placed[] }) {
  const queries = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const { site, sites } = useSite();
  const zone = site?.time_zone ?? sites[0]?.time_zone ?? "UTC";
  const siteRegions = useMemo(() => new Map(sites.map((one) => [one.id, one.region])), [sites]);
  const mayCommand = may(session, "commands:read");
  const renew = (...names: readonly string[]) => names.forEach((name) => void readAnew(queries, ["control-room", name]));
  useReadings("devices.*", () => renew("fleet"));
  useEvents(may(session, "alerts:read") ? "alerts" : null, () => renew("alarms", "alert-counts"), () => renew("alarms", "alert-counts"));
  useEvents(mayCommand ? "commands" : null, () => renew("commands"), () => renew("commands"));
  const { regions, movers, course } = useFleetPower(devices, siteRegions);
  return (
    <>
      <FigureRow regions={regions} mayCommand={mayCommand} />
      <PowerCard course={course} zone={zone} />
      <RegionMap regions={regions} sites={sites} />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <Alarms zone={zone} />
        <Movers movers={movers} />
      </SimpleGrid>
      {mayCommand && <CommandQueue zone={zone} />}
    </>
  );
}
