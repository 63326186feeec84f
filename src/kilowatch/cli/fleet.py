"""`kw simulate --world`: a fleet against the running instance, captured or replayed.

Owns where things come from: the instance by its data folder, again after a restart; the key, made once and
kept beside the instance's other secrets. What is sent goes over the public doors like any device's readings.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import httpx

from kilowatch.cli.fleet_screen import Screen, choose_screen
from kilowatch.cli.instance import find_running
from kilowatch.cli.keys import Wish as WantedKey
from kilowatch.cli.keys import make_key
from kilowatch.clock import Clock, SystemClock, to_us
from kilowatch.errors import Problem, StartRefused
from kilowatch.period import SECOND_US
from kilowatch.postgres.embedded import write_secrets
from kilowatch.settings import Settings
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.grid_curves import ANCHOR_US
from kilowatch.simulator.fleet.rows import Fleet
from kilowatch.simulator.sending.capture import BadCapture, CaptureSource, CaptureWriter
from kilowatch.simulator.sending.door import Away, Find, Place, Sender, TurnedAway
from kilowatch.simulator.sending.follow import Alone, Follower, Lead, OwnScenario
from kilowatch.simulator.sending.http import HttpSender
from kilowatch.simulator.sending.mqtt import MqttSender
from kilowatch.simulator.sending.office import Office
from kilowatch.simulator.sending.outbox import Outbox
from kilowatch.simulator.sending.pace import Pace, first_moment_us
from kilowatch.simulator.sending.parcel import BODY_ROWS, Form
from kilowatch.simulator.sending.register import TOLD_MOST, describe
from kilowatch.simulator.sending.run import Run, Summary
from kilowatch.simulator.sending.source import FleetSource, Source
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped
from kilowatch.simulator.world.mistake import BadWorld
from kilowatch.simulator.world.span import read_span
from kilowatch.stream.embedded import near

Mode = Literal["http", "mqtt"]
HttpForm = Literal["arrow", "json"]
SCOPES = "ingest,read,control,admin"
CONNECTIONS: dict[Mode, int] = {"http": 4, "mqtt": 2}
ASKED_WITHIN_S = 10.0
KEPT_AS = "simulation"
"""What the keys are called beside the other secrets."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say; None where the world decides."""

    world: str | None
    organisation: str
    mode: Mode = "http"
    form: HttpForm = "arrow"
    devices: int | None = None
    interval: str | None = None
    regions: tuple[str, ...] = ()
    iterations: int | None = None
    speed: float = 1.0
    seed: int = 1
    start: datetime | None = None
    buffer: int = 1_000_000
    capture: Path | None = None
    replay: Path | None = None
    keep_times: bool = False
    alone: bool = False
    scenario: str | None = None
    scenario_after: str = "0"

    @property
    def body(self) -> Form:
        """How readings are written."""
        return "mqtt" if self.mode == "mqtt" else self.form


def simulate_fleet(settings: Settings, wish: Wish, as_json: bool) -> bool:
    """Plays until the last cycle, or until SIGINT or SIGTERM; whether everything was answered.

    Raises:
        StartRefused: if there is nothing to play against, or nothing to play.
    """
    clock = SystemClock()
    world = _find_world(wish, [shipped(), settings.worlds_folder])
    wish, fleet = _make_fleet(wish, world)
    _make_run(wish, world, fleet, Alone(), clock)  # what is wrong is told before anything is made
    find = _finder(settings, wish.organisation)
    try:
        with choose_screen(as_json) as screen:
            total = asyncio.run(_play(wish, world, fleet, find, screen, clock))
            screen.show(total)
    except (TurnedAway, BadCapture) as reason:
        raise StartRefused(str(reason)) from reason
    except Away as reason:
        raise StartRefused("The instance does not answer.") from reason
    return total.buffered == 0 and total.lost == 0


async def _play(
    wish: Wish, world: World | None, fleet: Fleet | None, find: Find, screen: Screen, clock: Clock
) -> Summary:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def stop_run() -> None:
        """Ends the run; told again, at once."""
        (hurry if stop.is_set() else stop).set()

    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, stop_run)
    if fleet is not None and wish.world is not None:
        described = await describe(find, fleet.roster, wish.world)
        if len(fleet.roster) > TOLD_MOST:
            screen.say(f"{len(fleet.roster):,} devices are made by their readings, without type and region.")
        elif described.made:
            screen.say(f"{described.made:,} devices were made.")
    follower = None
    if world is not None and wish.scenario is None and not wish.alone:
        follower = Follower(world, find, screen.say)
    source, pace, lead = _make_run(wish, world, fleet, follower or Alone(), clock)
    if isinstance(source, CaptureSource) and source.broken:
        screen.say(f"The capture ends after {source.readings:,} readings ({source.broken}).")
    senders: list[Sender] = [
        HttpSender(find) if wish.mode == "http" else MqttSender(find) for _ in range(CONNECTIONS[wish.mode])
    ]
    office = Office(Outbox(wish.buffer), senders, screen.say)
    with ExitStack() as kept:
        capture = None
        if wish.capture is not None:
            capture = kept.enter_context(closing(_open_capture(wish.capture, source)))
        run = Run(source, office, pace, clock, wish.body, stop, lead)
        async with _following(follower):
            return await run.play(screen.show, capture, hurry)


@asynccontextmanager
async def _following(follower: Follower | None) -> AsyncIterator[None]:
    """Has a follower ask what is played, first before anything is sent."""
    if follower is None:
        yield
        return
    async with httpx.AsyncClient(timeout=ASKED_WITHIN_S, trust_env=False) as http:
        await follower.ask(http)
        asking = asyncio.create_task(follower.follow(http))
        try:
            yield
        finally:
            asking.cancel()


# --- what is played --------------------------------------------------------------------------------------


def _find_world(wish: Wish, folders: Sequence[Path]) -> World | None:
    """The world that is wished for; None where a capture is replayed."""
    if wish.replay is not None:
        return None
    places = find_worlds(folders)
    if wish.world not in places:
        raise StartRefused(f"There is no world {wish.world!r}; there are {', '.join(sorted(places))}.")
    try:
        return load_world(places[wish.world])
    except BadWorld as bad:
        raise StartRefused(str(bad)) from bad


def _make_fleet(wish: Wish, world: World | None) -> tuple[Wish, Fleet | None]:
    """The fleet of a world, and the wish with what the world decides."""
    if world is None:
        return wish, None
    if world.fleet is None:
        raise StartRefused(f"The world {wish.world!r} has no devices.")
    unknown = [name for name in wish.regions if name not in world.fleet.regions]
    if unknown and world.fleet.regions:
        there = ", ".join(world.fleet.regions)
        raise StartRefused(f"The world {wish.world!r} has no region {unknown[0]!r}; there are {there}.")
    wanted = world.fleet.model_copy(
        update={
            "devices": wish.devices or world.fleet.devices,
            "regions": list(wish.regions) or world.fleet.regions,
        }
    )
    made = make_fleet(wanted, wish.seed, world.time_zone)
    return replace(wish, interval=wish.interval or f"{world.fleet.interval:g}s"), made


def _make_run(
    wish: Wish, world: World | None, fleet: Fleet | None, lead: Lead, clock: Clock
) -> tuple[Source, Pace, Lead]:
    """What is sent, when, and what the fleet follows: `lead`, unless the run begins a scenario itself."""
    now_us = clock.now_us()
    if fleet is None or world is None:
        return *_make_replay(wish, now_us), lead
    interval_us = round(_interval_s(wish) * SECOND_US)
    span_us = None if wish.iterations is None else wish.iterations * interval_us
    first_us = first_moment_us(now_us, wish.speed, span_us)
    if wish.start is not None:
        first_us = to_us(wish.start)
        if first_us > now_us:
            raise StartRefused("--start lies in the future; readings from there are refused.")
        if first_us < ANCHOR_US:
            raise StartRefused("--start lies before 2020; worlds begin there.")
    first_us = first_us // 1000 * 1000
    rows = BODY_ROWS[wish.body]
    if wish.scenario is not None:
        lead = _begin(world, wish.scenario, first_us + round(_span_s(wish) * SECOND_US))
    source = FleetSource(fleet, first_us, interval_us, wish.iterations, rows, lead.around)
    return source, Pace(now_us, first_us, wish.speed), lead


def _begin(world: World, scenario: str, at_us: int) -> Lead:
    try:
        return OwnScenario.begun(world, scenario, at_us)
    except Problem as problem:
        raise StartRefused(f"--scenario: {problem.detail}.") from problem


def _span_s(wish: Wish) -> float:
    try:
        seconds = float(read_span(wish.scenario_after))
    except ValueError as reason:
        raise StartRefused(f"--scenario-after: {reason}") from reason
    if seconds < 0.0:
        raise StartRefused("--scenario-after is not before the beginning.")
    return seconds


def _make_replay(wish: Wish, now_us: int) -> tuple[Source, Pace]:
    if wish.replay is None or not wish.replay.is_file():
        raise StartRefused(f"There is no capture {wish.replay}.")
    try:
        capture = CaptureSource(wish.replay)
    except BadCapture as reason:
        raise StartRefused(str(reason)) from reason
    if not wish.keep_times:
        begins_us = first_moment_us(now_us, wish.speed, capture.last_us - capture.first_us)
        capture.shift_us = (begins_us - capture.first_us) // 1000 * 1000
    return capture, Pace(now_us, capture.first_us + capture.shift_us, wish.speed)


def _interval_s(wish: Wish) -> float:
    try:
        seconds = float(read_span(wish.interval or "5s"))
    except ValueError as reason:
        raise StartRefused(f"--interval: {reason}") from reason
    if seconds < 0.001:
        raise StartRefused("--interval is at least a millisecond.")
    return seconds


def _open_capture(path: Path, source: Source) -> CaptureWriter:
    try:
        return CaptureWriter(path, source.ids, source.metrics)
    except FileExistsError as error:
        raise StartRefused(f"{path} is there already; a capture overwrites no file.") from error
    except OSError as error:
        raise StartRefused(f"{path} cannot be written ({error.strerror}).") from error


# --- where it goes ---------------------------------------------------------------------------------------


def _finder(settings: Settings, organisation: str) -> Find:
    """Says where the instance is, looked up anew each time: after a restart its ports may be others.

    Raises:
        StartRefused: if it does not run now.
    """
    data = settings.data.resolve()
    if find_running(data) is None:
        raise StartRefused(f"No instance runs in {settings.data}.")
    key = _find_key(settings, organisation)

    def find() -> Place | None:
        running = find_running(data)
        if running is None:
            return None
        return Place(running.url, organisation, key, near(settings.mqtt_host), running.mqtt_port)

    return find


def _find_key(settings: Settings, organisation: str) -> str:
    """The key that was made for simulations of this organisation, or a new one."""
    path = settings.data / "secrets.json"
    kept = _read(path)
    key = kept.get(KEPT_AS, {}).get(organisation)
    if key is not None and _is_good(settings, key):
        return str(key)
    wanted = WantedKey(organisation, SCOPES, "simulation", create=True, auto_register=True)
    made = str(json.loads(make_key(settings, wanted, as_json=False))["key"])
    kept = _read(path)
    write_secrets(path, {**kept, KEPT_AS: {**kept.get(KEPT_AS, {}), organisation: made}})
    return made


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _is_good(settings: Settings, key: str) -> bool:
    running = find_running(settings.data.resolve())
    if running is None:
        return False
    try:
        answer = httpx.get(
            f"{running.url}/api/v1/whoami", headers={"Authorization": f"Bearer {key}"}, trust_env=False
        )
    except httpx.TransportError as error:
        raise StartRefused(f"The instance in {settings.data} does not answer.") from error
    return answer.is_success
