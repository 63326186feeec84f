// Everything of a simulation on one page: clock, crises, streams, events, causes.

import { useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { useSite } from "~/api/place";
import { may, sessionQuery } from "~/api/session";
import { Shown } from "~/ui/states";
import { Causes } from "./causes";
import { ClockCard } from "./clock-card";
import { EventLine } from "./event-line";
import { InjectForm } from "./inject-form";
import { FIRST_WORLD, scenariosQuery, stateQuery, streamsQuery, type State } from "./queries";
import { ScenarioCards } from "./scenario-cards";
import { StreamWall } from "./stream-wall";

const WEEK_MS = 7 * 86_400_000;
const STEP_MS = 600_000;

export function SimulationBoard() {
  const state = useQuery(stateQuery);
  return <Shown of={state} height={400}>{(shown) => <Board state={shown} />}</Shown>;
}

function Board({ state }: { state: State }) {
  const { data: session } = useQuery(sessionQuery);
  const { site } = useSite();
  const zone = site?.time_zone ?? "UTC";
  const mayChange = may(session, "simulation:change");
  const world = state.world ?? FIRST_WORLD;
  const streams = useQuery(streamsQuery(world));
  const scenarios = useQuery(scenariosQuery(world));
  const [about, setAbout] = useState<{ stream?: string; event?: string }>({});
  const [isInjecting, setInjecting] = useState(false);
  const causes = useRef<HTMLDivElement>(null);
  // The week up to the simulated now, in steps, so that it is asked for anew now and then only.
  const end = Math.ceil(Date.parse(state.now) / STEP_MS) * STEP_MS;
  const span = useMemo(() => ({ start: new Date(end - WEEK_MS).toISOString(), end: new Date(end).toISOString() }), [end]);
  const ask = (chosen: { stream?: string; event?: string }) => {
    setAbout(chosen);
    causes.current?.scrollIntoView({ block: "nearest" });
  };
  return (
    <>
      <ClockCard state={state} zone={zone} mayChange={mayChange} />
      <Shown of={scenarios} height={300}>{(items) => <ScenarioCards state={state} scenarios={items} mayChange={mayChange} />}</Shown>
      <Shown of={streams} height={500}>
        {(items) => (
          <>
            <StreamWall key={world} world={world} streams={items} onChoose={(stream) => ask({ stream })} />
            <EventLine span={span} zone={zone} onChoose={(event) => ask({ event })} onInject={mayChange ? () => setInjecting(true) : null} />
            <div ref={causes}><Causes streams={items} about={about} onAbout={setAbout} span={span} zone={zone} /></div>
            <InjectForm key={world} state={state} streams={items} opened={isInjecting} onClose={() => setInjecting(false)} />
          </>
        )}
      </Shown>
    </>
  );
}
