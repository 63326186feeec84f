"""The options of `kw simulate`."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from kilowatch.cli.options import AsJson, Data
from kilowatch.settings import load_settings

if TYPE_CHECKING:
    from kilowatch.cli.fleet import HttpForm, Mode

MODES = ("http", "mqtt")
FORMS = ("arrow", "json")


def _one_of(names: tuple[str, ...]) -> Callable[[str | None], str | None]:
    """Checks an option that has a few values."""

    def check(given: str | None) -> str | None:
        if given is not None and given not in names:
            raise typer.BadParameter(f"one of {', '.join(names)}")
        return given

    return check


World = Annotated[
    str | None, typer.Option(help="Plays the devices of a world: grid, home, microgrid, plant.")
]
Meters = Annotated[
    int | None, typer.Option(min=1, max=10_000_000, help="How many devices; the world decides.")
]
Interval = Annotated[
    str | None, typer.Option(help="Simulated time between two readings of a device; the world decides.")
]
Door = Annotated[str, typer.Option(callback=_one_of(MODES), help="The door: http, or mqtt as a gateway.")]
Body = Annotated[
    str, typer.Option(callback=_one_of(FORMS), help="How readings are written over HTTP: arrow, json.")
]
Regions = Annotated[str, typer.Option(help="Comma-separated; without it the world's own.")]
Iterations = Annotated[
    int | None, typer.Option(min=1, help="Readings of each device; without it until it is stopped.")
]
Speed = Annotated[
    float,
    typer.Option(min=0.001, max=3600, help="Simulated seconds in a real one, until now is reached."),
]
Seed = Annotated[int, typer.Option(help="The same seed plays the same.")]
Start = Annotated[
    str | None, typer.Option(help="Time of the first reading; without it so that the last comes now.")
]
Organisation = Annotated[
    str, typer.Option(help="Slug of the organisation that gets the devices; made if missing.")
]
Buffer = Annotated[int, typer.Option(min=1, help="Most readings that wait while the instance is away.")]
Capture = Annotated[Path | None, typer.Option(help="Writes what is sent to this new file.")]
Replay = Annotated[Path | None, typer.Option(help="Sends a capture again, instead of a world.")]
KeepTimes = Annotated[
    bool, typer.Option("--keep-times", help="Replays at the capture's own times, not shifted to now.")
]
ByItself = Annotated[
    bool, typer.Option("--alone", help="Does not follow the scenarios that are begun for its organisation.")
]
Scenario = Annotated[
    str | None,
    typer.Option(help="Has the run begin this scenario of its world by itself, and follow no other."),
]
ScenarioAfter = Annotated[
    str | None, typer.Option(help="Simulated time from the first reading to the scenario, such as 10m.")
]
DemoMeters = Annotated[
    bool, typer.Option("--demo-meters", help="Without a world: plays the demo's three meters, too.")
]


def simulate(
    data: Data = None,
    world: World = None,
    meters: Meters = None,
    interval: Interval = None,
    mode: Door = "http",
    form: Body = "arrow",
    regions: Regions = "",
    iterations: Iterations = None,
    speed: Speed = 1.0,
    seed: Seed = 1,
    start: Start = None,
    organisation: Organisation = "simulation",
    buffer: Buffer = 1_000_000,
    capture: Capture = None,
    replay: Replay = None,
    keep_times: KeepTimes = False,
    alone: ByItself = False,
    scenario: Scenario = None,
    scenario_after: ScenarioAfter = None,
    demo_meters: DemoMeters = False,
    as_json: AsJson = False,
) -> None:
    """Plays a fleet into the running instance; without a world demo homes, as `kw up` does."""
    if scenario is not None and world is None:
        raise typer.BadParameter("--scenario goes with --world")
    if scenario_after is not None and scenario is None:
        raise typer.BadParameter("--scenario-after goes with --scenario")
    settings = load_settings(data=data)
    if world is None and replay is None:
        from kilowatch.cli import simulation

        simulation.simulate(settings, meters=demo_meters)
        return
    if world is not None and replay is not None:
        raise typer.BadParameter("either --world or --replay")
    from kilowatch.cli import fleet

    wish = fleet.Wish(
        world,
        organisation,
        cast("Mode", mode),
        cast("HttpForm", form),
        meters,
        interval,
        tuple(name.strip() for name in regions.split(",") if name.strip()),
        iterations,
        speed,
        seed,
        _moment(start),
        buffer,
        capture,
        replay,
        keep_times,
        alone,
        scenario,
        scenario_after or "0",
    )
    if not fleet.simulate_fleet(settings, wish, as_json):
        raise typer.Exit(1)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write it like 2026-11-20T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
