"""HTTP for worlds: what is played, what may happen, what happened, and what moved what.

Keeps true: people see and change the simulation of their own organisation only; what they change is in the
audit log.
"""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.errors import Fault, Problem
from kilowatch.server import world_shapes as shapes
from kilowatch.server.stage import Stages
from kilowatch.telemetry.moment import read_moment
from kilowatch.wire.address import API

WorldWord = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
Moment = Annotated[str | None, Query(max_length=64, description="RFC 3339, or milliseconds since 1970.")]
Names = Annotated[str, Query(max_length=4000, description="Streams, joined by commas; all without any.")]
Shape = TypeVar("Shape", bound=BaseModel)


def make_routes(access: Access, stages: Stages) -> APIRouter:
    """The routes of worlds."""
    routes = APIRouter(prefix=API, tags=["simulation"])
    reader, changer = Depends(access.may("simulation", "read")), Depends(access.may("simulation", "change"))
    _add_library(routes, stages, reader)
    _add_history(routes, stages, reader)
    _add_wishes(routes, access, stages, changer)
    return routes


def _add_library(routes: APIRouter, stages: Stages, reader: Any) -> None:
    @routes.get("/simulation/worlds")
    async def list_worlds(caller: Annotated[Caller, reader]) -> shapes.Worlds:
        """Every world, and what is wrong with those that cannot be played."""
        return await _ask(stages, caller, shapes.Worlds, "worlds")

    @routes.get("/simulation/streams")
    async def list_streams(caller: Annotated[Caller, reader], world: WorldWord = None) -> shapes.Streams:
        """The streams of a world with what is usual for them; of the one that is played, what they told."""
        return await _ask(stages, caller, shapes.Streams, "streams", world=world)

    @routes.get("/simulation/scenarios")
    async def list_scenarios(caller: Annotated[Caller, reader], world: WorldWord = None) -> shapes.Scenarios:
        """Every scenario, or those of one world."""
        return await _ask(stages, caller, shapes.Scenarios, "scenarios", world=world)

    @routes.get("/simulation/templates")
    async def list_event_templates(
        caller: Annotated[Caller, reader], world: WorldWord = None
    ) -> shapes.Templates:
        """What may happen outside and can be injected, in every world or in one."""
        return await _ask(stages, caller, shapes.Templates, "templates", world=world)

    @routes.get("/simulation/state")
    async def get_simulation(caller: Annotated[Caller, reader]) -> shapes.SimulationState:
        """What is played, how fast, and what goes on in it."""
        return await _ask(stages, caller, shapes.SimulationState, "state")


def _add_history(routes: APIRouter, stages: Stages, reader: Any) -> None:
    @routes.get("/simulation/history")
    async def get_simulation_history(
        caller: Annotated[Caller, reader],
        start: Moment = None,
        end: Moment = None,
        streams: Names = "",
        mode: Literal["modified", "baseline", "difference"] = "modified",
    ) -> shapes.SimulationHistory:
        """What streams told from `start` to before `end` (now without it; a week before it without a start),
        with the events of that time; as it was without scenarios, or what they changed."""
        given = _span(start, end) | {"streams": [one for one in streams.split(",") if one], "mode": mode}
        return await _ask(stages, caller, shapes.SimulationHistory, "history", **given)

    @routes.get("/simulation/events")
    async def list_simulation_events(
        caller: Annotated[Caller, reader],
        start: Moment = None,
        end: Moment = None,
        type: shapes.EventType | None = None,  # noqa: A002
    ) -> shapes.SimulationEvents:
        """What happened outside, and what is planned."""
        return await _ask(stages, caller, shapes.SimulationEvents, "events", **_span(start, end), type=type)

    @routes.get("/simulation/correlations")
    async def list_correlations(
        caller: Annotated[Caller, reader],
        start: Moment = None,
        end: Moment = None,
        event: Annotated[str | None, Query(max_length=100)] = None,
        stream: Annotated[str | None, Query(max_length=100)] = None,
    ) -> shapes.Correlations:
        """Which streams moved after each event, worked out from the values alone; narrowed to one event (what
        did it move?) or one stream (what moved it?)."""
        given = _span(start, end) | {"event": event, "stream": stream}
        return await _ask(stages, caller, shapes.Correlations, "correlations", **given)


def _add_wishes(routes: APIRouter, access: Access, stages: Stages, changer: Any) -> None:
    async def note(caller: Caller, action: str, thing: str, **about: Any) -> None:
        async with access.database.scope(caller.sight) as connection:
            await record_by(connection, caller, f"simulation.{action}", thing, **about)

    @routes.post("/simulation/scenario")
    async def begin_scenario(
        wanted: shapes.ScenarioWanted, caller: Annotated[Caller, changer]
    ) -> shapes.ScenarioBegun:
        """Begins a crisis. While one goes on or settles another is refused (409 `scenario_active`)."""
        given = wanted.model_dump(exclude_none=True)
        begun = await _ask(stages, caller, shapes.ScenarioBegun, "scenario", **given)
        await note(caller, "scenario_begun", begun.scenario.id)
        return begun

    @routes.post("/simulation/stop")
    async def stop_scenario(caller: Annotated[Caller, changer]) -> shapes.ScenarioStopped:
        """Ends the scenario: from now on it settles."""
        stopped = await _ask(stages, caller, shapes.ScenarioStopped, "stop")
        await note(caller, "scenario_stopped", "scenario")
        return stopped

    @routes.post("/simulation/reset")
    async def reset_simulation(caller: Annotated[Caller, changer]) -> shapes.SimulationReset:
        """Takes scenarios and injected events back: history and live are the baseline again, at once, and the
        simulated time is now."""
        reset = await _ask(stages, caller, shapes.SimulationReset, "reset")
        await note(caller, "reset", "simulation")
        return reset

    @routes.post("/simulation/events", status_code=201)
    async def inject_event(
        wanted: shapes.EventWanted, caller: Annotated[Caller, changer]
    ) -> shapes.EventShown:
        """Has something happen: of a template, or of one's own. `preview` only shows it."""
        _refuse_both(wanted)
        given = wanted.model_dump(mode="json", exclude_none=True)
        made = await _ask(stages, caller, shapes.EventShown, "inject", **given)
        if not wanted.preview:
            await note(caller, "event_injected", made.id, title=made.title)
        return made

    @routes.patch("/simulation/state")
    async def change_simulation(
        changes: shapes.StateChanges, caller: Annotated[Caller, changer]
    ) -> shapes.SimulationState:
        """Chooses a world, its seed and its speed, or moves its clock on."""
        given = changes.model_dump(exclude_none=True)
        state = await _ask(stages, caller, shapes.SimulationState, "change", **given)
        await note(caller, "changed", state.world or "simulation", **given)
        return state


def _refuse_both(wanted: shapes.EventWanted) -> None:
    """A template says all of an event but its time.

    Raises:
        Problem: 422 with each member that would go unheard.
    """
    own = sorted(wanted.model_dump(exclude_defaults=True).keys() - {"template", "ts", "preview"})
    if wanted.template is not None and own:
        detail = "An event of a template is as the template says; describe your own without one."
        faults = [Fault("not_with_template", detail, pointer=f"/body/{name}") for name in own]
        raise Problem(422, "invalid_event", detail, faults)


def _span(start: str | None, end: str | None) -> dict[str, Any]:
    """The ends that were given, as text that the simulator reads.

    Raises:
        Problem: 422 with all that is wrong.
    """
    faults: list[Fault] = []
    moments = {
        name: read_moment(text, f"/query/{name}", faults)
        for name, text in (("start", start), ("end", end))
        if text is not None
    }
    if not faults and len(moments) == 2 and moments["start"] >= moments["end"]:
        faults.append(Fault("empty_span", "start must lie before end.", pointer="/query/start"))
    if faults:
        raise Problem(422, "bad_span", "The span of time is none; see `errors`.", faults)
    return {f"{name}_us": moment_us for name, moment_us in moments.items()}


async def _ask(stages: Stages, caller: Caller, shape: type[Shape], question: str, **given: Any) -> Shape:
    known = {name: value for name, value in given.items() if value is not None}
    told = await stages.ask(str(caller.organisation_id), question, known)
    return shape.model_validate_json(told)
