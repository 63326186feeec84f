"""What surrounds devices: said of a moment it stays, it goes by the simulated clock, and a reset ends it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import DrivenClock
from kilowatch.errors import Problem
from kilowatch.period import HOUR_US, MINUTE_US, SECOND_US
from kilowatch.simulator.engine.events import Event, event_modifiers, injected_event
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import begin, scenario_modifiers, stop
from kilowatch.simulator.fleet.happening import NEVER_US, Happening
from kilowatch.simulator.fleet.rows import USUAL, Circumstances
from kilowatch.simulator.home.moments import Floats, Int64s
from kilowatch.simulator.stage.play import Play
from kilowatch.simulator.stage.surroundings import STEP_US, Deed, surroundings
from kilowatch.simulator.stage.watch import Timeline, Watch
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped
from tests.simulator.engine.markets import START_US

GRID = Run.of(load_world(find_worlds([shipped()])["grid"]), 1)
STREAMS = ("grid.south.load", "grid.west.solar", "grid.east.cars", "grid.central.voltage")
SCENARIOS = ("heat_wave", "feeder_outage", "meter_fault_wave", "price_shock")
law = settings(max_examples=25, deadline=None)

speeds = st.sampled_from([0.0, 1e-6, 0.5, 1.0, 7.3, 60.0, 3600.0])
waits = st.integers(1, 3_000_000).map(lambda ms: ms / 1000.0)
moves = st.one_of(
    st.tuples(st.just("wait"), waits),
    st.tuples(st.just("speed"), speeds),
    st.tuples(st.just("step"), st.integers(1, 20 * 3600)),
)
deeds = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(SCENARIOS)),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("inject"), st.integers(-5 * 3600, 5 * 3600)),
)


@dataclass
class Person:
    """Somebody who does things to the grid, and moves its clock."""

    clock: DrivenClock = field(default_factory=lambda: DrivenClock(START_US))
    deeds: list[Deed] = field(default_factory=list)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.clock)

    def do(self, what: str, how: object) -> None:
        acts: dict[str, Callable[[], None]] = {
            "wait": lambda: self.clock.advance(float(str(how))),
            "speed": lambda: self.watch.run_at(float(str(how))),
            "step": lambda: self.watch.step(int(str(how)) * SECOND_US),
            "begin": lambda: self._begin(str(how)),
            "stop": self._stop,
            "inject": lambda: self._inject(int(str(how))),
        }
        acts[what]()

    def around(self) -> Circumstances:
        return surroundings(GRID, self.deeds, self.watch.timeline)

    def _begun(self) -> list[object]:
        return list({one.what.id: one.what for one in self.deeds if not isinstance(one.what, Event)}.values())

    def _begin(self, scenario: str) -> None:
        real_us, now_us = self.watch.look()
        try:
            made = begin(GRID, scenario, now_us, self._begun())  # type: ignore[arg-type]
        except Problem:
            return
        self.deeds.append(Deed(real_us, made.activation))

    def _stop(self) -> None:
        real_us, now_us = self.watch.look()
        try:
            made = stop(GRID, self._begun(), now_us)  # type: ignore[arg-type]
        except Problem:
            return
        self.deeds.append(Deed(real_us, made.activation))

    def _inject(self, after_s: int) -> None:
        real_us, now_us = self.watch.look()
        effects = [{"streams": ["grid.south.*"], "value": 1.4}, {"streams": ["grid.east.cars"], "value": 0.5}]
        described = {"type": "energy", "title": "x", "description": "x", "effects": effects, "lasts": "2h"}
        event = injected_event(GRID.world, described, now_us + after_s * SECOND_US, event_id=f"e{real_us}")
        self.deeds.append(Deed(real_us, event))


def grown(what: Happening, ts_us: Int64s) -> Int64s:
    """How long a fault has gone on at each moment, -1 where it does not strike."""
    return np.where(what.covers(ts_us), what.lasted_us(ts_us), -1)


def said(around: Circumstances, ts_us: Int64s) -> tuple[list[Floats], list[tuple[str, bytes]]]:
    """All that is said of some moments."""
    ratios = [np.broadcast_to(around.ratios(stream, ts_us), ts_us.shape) for stream in STREAMS]
    struck = [(f"{one.kind}/{one.number}", grown(one, ts_us)) for one in around.faults]
    return ratios, sorted((name, lasted.tobytes()) for name, lasted in struck if (lasted >= 0).any())


@law
@given(done=st.lists(moves, max_size=12), asked=st.lists(st.integers(0, 30_000_000), max_size=8))
def test_a_timeline_says_what_the_clock_showed_and_when(
    done: list[tuple[str, object]], asked: list[int]
) -> None:
    person = Person()
    showed: dict[int, int] = {}
    for what, how in done:
        person.do(what, how)
        showed[person.clock.now_us()] = person.watch.now_us()
    timeline = person.watch.timeline
    for real_us, shown_us in showed.items():
        assert timeline.shown_at(real_us) == shown_us
    moments = START_US + np.arange(0, 30_000, 7, dtype=np.int64) * SECOND_US
    assert (np.diff(timeline.shown(moments)) >= 0).all(), "it never goes back"
    for after_ms in asked:
        wanted_us = START_US + after_ms * 1000
        real_us = timeline.real_of(wanted_us)
        if real_us == NEVER_US:
            assert timeline.shown_at(person.clock.now_us() + 400 * HOUR_US) < wanted_us
        else:
            assert timeline.shown_at(real_us) >= wanted_us
            assert real_us == START_US or timeline.shown_at(real_us - 1) < wanted_us


@settings(max_examples=12, deadline=None)
@given(done=st.lists(st.one_of(moves, deeds, deeds), max_size=10))
def test_what_was_said_of_a_moment_that_passed_stays(done: list[tuple[str, object]]) -> None:
    person = Person()
    for what, how in [("begin", "heat_wave"), ("wait", 600.0), *done]:
        now_us = person.clock.now_us()
        moments = np.linspace(START_US - HOUR_US, now_us - 1, 97).astype(np.int64)
        before = said(person.around(), moments)
        person.do(what, how)
        after = said(person.around(), moments)
        for one, other in zip(before[0], after[0], strict=True):
            assert one.tobytes() == other.tobytes()
        assert before[1] == after[1]


@law
@given(
    speed=st.sampled_from([1.0, 60.0, 600.0]),
    scenario=st.sampled_from(SCENARIOS),
    event_after_s=st.integers(0, 3600),
)
def test_devices_follow_what_the_simulated_clock_shows(
    speed: float, scenario: str, event_after_s: int
) -> None:
    person = Person()
    person.do("speed", speed)
    person.do("begin", scenario)
    person.do("inject", event_after_s)
    begun, event = (deed.what for deed in person.deeds)
    assert isinstance(event, Event)
    assert not isinstance(begun, Event)
    modifiers = [*scenario_modifiers(GRID.world, begun), *event_modifiers([event], GRID.causes.names)]
    steps = 24 * HOUR_US // STEP_US
    moments = Moments(START_US // STEP_US * STEP_US, STEP_US, steps)
    kept = [one for one in modifiers if one.followed]
    expected = levels(GRID, moments, kept).ratio
    middle_us = moments.ts_us + STEP_US // 2
    real_us = START_US + np.rint((middle_us - START_US) / speed).astype(np.int64)
    around = person.around()
    assert around.since_us == START_US
    for stream in STREAMS:
        row = expected[GRID.causes.number[stream]]
        found = np.broadcast_to(around.ratios(stream, real_us), real_us.shape)
        assert np.allclose(found, row, rtol=1e-12, atol=0.0)
        assert (found != 1.0).any() == (row != 1.0).any()
        later = START_US + np.arange(30, 60, dtype=np.int64) * 24 * HOUR_US
        assert np.all(around.ratios(stream, later) == 1.0), "settled to the bit"
    for one in around.faults:
        fault = GRID.world.scenarios[scenario].faults[one.number]
        assert (one.begins_us - START_US) * speed == pytest.approx(fault.after * SECOND_US, abs=2 * speed)
        lasts_us = GRID.world.scenarios[scenario].lasts * SECOND_US
        assert (one.ends_us - START_US) * speed == pytest.approx(lasts_us, abs=2 * speed)


def test_a_play_that_was_reset_leaves_devices_as_without_any_scenario() -> None:
    clock = DrivenClock(START_US)
    play = Play(GRID.world, 1, clock)
    assert play.surroundings() is USUAL
    play.begin("heat_wave")
    clock.advance(1800)
    around = play.surroundings()
    assert play.surroundings() is around, "nothing has changed"
    now = np.array([clock.now_us()], np.int64)
    assert around.ratios("grid.south.load", now) == pytest.approx(1.5)
    play.run_at(60.0)
    assert play.surroundings() is not around
    play.reset()
    assert play.surroundings() is USUAL
    play.begin("regional_peak")
    assert play.surroundings().ratios("grid.south.load", now + 5 * MINUTE_US) == 1.0
    assert play.surroundings().since_us == clock.now_us()


def test_a_scenario_that_comes_and_goes_while_the_clock_is_held_is_felt_in_between() -> None:
    person = Person()
    person.do("speed", 0.0)
    for what in (("begin", "heat_wave"), ("wait", 5.0), ("stop", None), ("wait", 5.0)) * 2:
        person.do(*what)
    ratios, _ = said(person.around(), START_US + np.arange(20, dtype=np.int64) * SECOND_US)
    assert np.round(ratios[0], 9).tolist() == ([1.5] * 5 + [1.0] * 5) * 2


def test_a_timeline_without_an_end_is_bounded() -> None:
    held = Timeline.of(Watch(DrivenClock(START_US), 0.0)._knots)
    assert held.real_of(START_US) == START_US
    assert held.real_of(START_US + 1) == NEVER_US
