"""Following what is played: a record read back says the same, and a fleet follows its own world alone."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import DrivenClock
from kilowatch.errors import Problem
from kilowatch.period import HOUR_US, MINUTE_US
from kilowatch.server.world_shapes import Record, SimulationState
from kilowatch.simulator.fleet.grid import Grid
from kilowatch.simulator.fleet.rows import USUAL, join
from kilowatch.simulator.sending.door import Place
from kilowatch.simulator.sending.follow import Alone, Follower, OwnScenario
from kilowatch.simulator.sending.source import FleetSource
from kilowatch.simulator.stage.desk import Desk
from kilowatch.simulator.stage.record import read_record, record_shown
from kilowatch.simulator.stage.surroundings import surroundings
from kilowatch.simulator.world.loading import shipped
from kilowatch.simulator.world.shelf import Shelf
from tests.simulator.engine.markets import START_US
from tests.simulator.test_surroundings import GRID, Person, deeds, moves, said

OWN = "own"


def told(desk: Desk) -> dict[str, Any]:
    """The state as the API tells it."""
    state = SimulationState.model_validate(desk.answer(OWN, "state", {}))
    found: dict[str, Any] = json.loads(state.model_dump_json())
    return found


@settings(max_examples=10, deadline=None)
@given(done=st.lists(st.one_of(moves, deeds, deeds), max_size=10))
def test_a_record_says_to_others_what_it_says_here(done: list[tuple[str, object]]) -> None:
    person = Person()
    for what, how in [("begin", "heat_wave"), *done]:
        person.do(what, how)
    timeline = person.watch.timeline
    shown = Record.model_validate(record_shown(person.deeds, timeline)).model_dump_json()
    read = read_record(json.loads(shown))
    assert read[1] == timeline
    moments = np.linspace(START_US - HOUR_US, person.clock.now_us() + 10 * HOUR_US, 97).astype(np.int64)
    here, there = said(person.around(), moments), said(surroundings(GRID, *read), moments)
    assert [one.tobytes() for one in here[0]] == [one.tobytes() for one in there[0]]
    assert here[1] == there[1]


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf([shipped()])


def test_a_fleet_follows_its_own_world_until_all_is_taken_back(shelf: Shelf) -> None:
    clock = DrivenClock(START_US)
    desk, heard = Desk(shelf, clock), list[str]()
    follower = Follower(GRID.world, lambda: None, heard.append)
    follower.hear(told(desk))
    assert (follower.around(), follower.playing(0)) == (USUAL, "")
    desk.answer(OWN, "scenario", {"scenario_id": "heat_wave"})
    clock.advance(60)
    follower.hear(told(desk))
    around = follower.around()
    now = np.array([clock.now_us() - 1])
    assert around.ratios("grid.south.load", now) == pytest.approx(1.5)
    assert follower.playing(0) == "heat_wave active"
    follower.hear(told(desk))
    assert follower.around() is around, "nothing has changed"
    desk.answer(OWN, "stop", {})
    clock.advance(1)
    follower.hear(told(desk))
    assert follower.playing(0) == "heat_wave settling"
    assert follower.around().ratios("grid.south.load", now) == pytest.approx(1.5), "the past is as it was"
    desk.answer(OWN, "reset", {})
    follower.hear(told(desk))
    assert (follower.around(), follower.playing(0)) == (USUAL, "")
    desk.answer(OWN, "scenario", {"scenario_id": "sensor_drift"})
    assert told(desk)["world"] == "plant"
    follower.hear(told(desk))
    assert (follower.around(), follower.playing(0), heard) == (USUAL, "", [])


def test_what_cannot_be_followed_is_said_once_and_the_fleet_goes_on(shelf: Shelf) -> None:
    desk, heard = Desk(shelf, DrivenClock(START_US)), list[str]()
    desk.answer(OWN, "scenario", {"scenario_id": "heat_wave"})
    state = told(desk)
    state["record"]["deeds"][0]["scenario"]["scenario"] = "volcano"
    follower = Follower(GRID.world, lambda: None, heard.append)
    for turn in range(2):
        state["record"]["timeline"][0]["speed"] = 1.0 + turn
        follower.hear(state)
    assert follower.around() is USUAL
    assert len(heard) == 1
    assert "'volcano'" in heard[0]


class Doorkeeper(BaseHTTPRequestHandler):
    """Gives the answer of its class, and keeps the keys that it was shown."""

    answer: ClassVar[tuple[int, Any]] = (200, {})
    shown: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.shown.append(f"{self.path} {self.headers['Authorization']}")
        body = json.dumps(self.answer[1]).encode()
        self.send_response(self.answer[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def place() -> Iterator[Place]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Doorkeeper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Place(f"http://127.0.0.1:{server.server_address[1]}", "o", "kw_x")
        server.shutdown()


async def test_while_the_stage_is_away_a_fleet_goes_on_with_what_it_was_told(
    shelf: Shelf, place: Place
) -> None:
    desk, heard = Desk(shelf, DrivenClock(START_US)), list[str]()
    desk.answer(OWN, "scenario", {"scenario_id": "heat_wave"})
    places: list[Place | None] = [place]
    follower = Follower(GRID.world, lambda: places[0], heard.append)
    async with httpx.AsyncClient() as http:
        Doorkeeper.answer = (200, told(desk))
        await follower.ask(http)
        around = follower.around()
        assert around is not USUAL
        assert Doorkeeper.shown[-1] == "/api/v1/simulation/state Bearer kw_x"
        for status in (503, 429, 403, 403):
            Doorkeeper.answer = (status, {"code": "simulator_away"})
            await follower.ask(http)
        for away in (None, Place("http://127.0.0.1:9", "o", "kw_x")):
            places[0] = away
            await follower.ask(http)
    assert follower.around() is around
    assert len(heard) == 1
    assert heard[0].endswith(" 403.")


def test_a_run_with_a_scenario_of_its_own_is_repeated_to_the_bit() -> None:
    def captured() -> list[Any]:
        lead = OwnScenario.begun(GRID.world, "feeder_outage", START_US + 2 * MINUTE_US)
        source = FleetSource(Grid(40, 2), START_US, MINUTE_US, 5, 500, lead.around)
        return [join(list(cycle.readings)) for cycle in source.cycles()]

    first, again = captured(), captured()
    assert [len(one) for one in first] == [40, 40, 38, 38, 38]
    for one, other in zip(first, again, strict=True):
        assert all(one.columns[name].tobytes() == other.columns[name].tobytes() for name in one.columns)
    lead = OwnScenario.begun(GRID.world, "feeder_outage", START_US)
    assert lead.playing(START_US - 1) == ""
    assert lead.playing(START_US) == "feeder_outage active"
    assert lead.playing(START_US + 48 * HOUR_US) == ""
    with pytest.raises(Problem, match="feeder_outage"):
        OwnScenario.begun(GRID.world, "volcano", START_US)
    assert (Alone().around(), Alone().playing(START_US)) == (USUAL, "")
