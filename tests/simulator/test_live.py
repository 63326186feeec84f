"""Live streams: laws of cadences, of what comes of what, and of the clock."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import DrivenClock
from kilowatch.period import HOUR_US, SECOND_US
from kilowatch.simulator.engine.chance import last_of
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.settling import Course
from kilowatch.simulator.live.cadence import PAUSES_S
from kilowatch.simulator.live.streams import MOST_FOLLOWED, MOST_REMEMBERED, MOST_SHOWN, STEP_US, Told
from kilowatch.simulator.stage.play import Play
from kilowatch.simulator.stage.watch import Watch
from kilowatch.simulator.world.format import World
from tests.simulator.engine.markets import START_US, small, small_document

law = settings(max_examples=15, deadline=None)


def play(seed: int = 1, world: World | None = None) -> tuple[Play, DrivenClock]:
    clock = DrivenClock(START_US + 9 * HOUR_US)
    return Play(world or small(), seed, clock), clock


def hours(of: Play, clock: DrivenClock, count: float) -> list[Told]:
    clock.advance(count * 3600)
    return of.streams.advance(of.watch.now_us())


@law
@given(st.lists(st.floats(0.1, 4000), min_size=1, max_size=20))
def test_what_is_told_does_not_depend_on_how_the_clock_moves(steps: list[float]) -> None:
    (one, clock), (other, jumping) = play(), play()
    told = [two for step in steps for two in hours(one, clock, step / 3600)]
    assert told == hours(other, jumping, sum(round(step * 1e6) for step in steps) / 3.6e9)


@law
@given(st.integers(0, 2**32))
def test_streams_tell_within_their_pauses_and_not_in_step(seed: int) -> None:
    one, clock = play(seed)
    told = hours(one, clock, 3)
    assert [two.at_us for two in told] == sorted(two.at_us for two in told)
    for name, stream in one.world.streams.items():
        shortest, longest = (round(pause * SECOND_US) for pause in PAUSES_S[stream.cadence])
        times = [two.at_us for two in told if two.stream == name]
        pauses = np.diff(times)
        assert ((pauses >= shortest) & (pauses <= longest)).all()
    assert Counter(two.at_us // SECOND_US for two in told).most_common(1)[0][1] < len(one.names)


@settings(law, max_examples=5)
@given(st.integers(0, 2**32))
def test_nothing_comes_of_nothing_or_before_its_cause_or_twice(seed: int) -> None:
    one, clock = play(seed)
    one.run_at(60)
    one.streams.cadences.least_us = 300 * SECOND_US
    told = hours(one, clock, 0.5)
    seen: dict[str, int] = {}
    children: Counter[str] = Counter()
    chains = {outcome.to: chain for chain in one.world.chains for outcome in chain.outcomes}
    for two in told:
        for happening in two.happenings:
            assert happening.id not in seen
            seen[happening.id] = two.at_us
            if happening.parent is None:
                continue
            stream, _, number = happening.parent.partition("#")
            assert stream == chains[two.stream].of
            assert int(number) < one.streams.waiting._next[one.names.index(stream)]
            assert happening.parent not in seen or seen[happening.parent] <= two.at_us
            if chains[two.stream].exclusive:
                children[happening.parent] += 1
    assert children
    assert max(children.values()) == 1


def test_so_many_come_as_their_probability_says() -> None:
    one, clock = play()
    one.run_at(600)
    one.streams.cadences.least_us = 900 * SECOND_US
    counts: Counter[str] = Counter()
    for two in hours(one, clock, 0.4):
        counts[two.stream] += two.count
    assert counts["request"] > 5000
    assert counts["confirmed"] / counts["request"] == pytest.approx(0.75, abs=0.03)
    assert counts["declined"] / counts["request"] == pytest.approx(0.15, abs=0.02)
    assert counts["expired"] / counts["request"] == pytest.approx(0.10, abs=0.02)


def test_a_leap_is_told_in_few_words_and_each_counts_what_happened_in_all_of_its_time() -> None:
    leaping, clock = play()
    now_us = leaping.watch.now_us()
    clock.advance(4 * 86_400)
    told = leaping.advance()
    assert max(Counter(two.stream for two in told).values()) <= 21
    grid = Moments(now_us // STEP_US * STEP_US, STEP_US, 5 * 288)
    found = levels(leaping.run, grid)
    for name in ("search", "request"):
        reached = np.concatenate([[0.0], np.cumsum(found.outside[leaping.names.index(name)])])
        at_us = [now_us, *(two.at_us for two in told if two.stream == name)]
        steps = [(one - grid.start_us) / STEP_US for one in at_us]
        expected = np.diff(np.interp(steps, np.arange(grid.count + 1), reached))
        counts = np.array([two.count for two in told if two.stream == name])
        assert expected.max() > 5.0 * expected.min(), "days and nights"
        assert (np.abs(counts - expected) <= 4.5 * np.sqrt(expected) + 1.0).all()
    for two in told:
        times = [one.at_us for one in two.happenings]
        assert times == sorted(times)
        assert len(times) == min(two.count, MOST_SHOWN)
        assert all(now_us <= one <= two.at_us for one in times)


def test_of_a_flood_all_is_counted_and_not_more_is_followed_than_memory_has_room_for() -> None:
    document = small_document()
    document["streams"]["request"]["mean"] = 1e9
    one, clock = play(world=World.model_validate(document))
    waited = one.streams.waiting.count()
    assert waited <= 3 * MOST_REMEMBERED
    clock.advance(900)
    told = [two for two in one.streams.advance(one.watch.now_us()) if two.stream == "request"]
    assert sum(two.count for two in told) > 1e6
    assert one.streams.waiting.count() <= waited + len(told) * MOST_FOLLOWED


@law
@given(count=st.integers(0, 400), most=st.integers(1, 30), seed=st.integers(0, 2**40))
def test_the_last_of_many_numbers_are_in_order_and_below_one(count: int, most: int, seed: int) -> None:
    found = last_of(count, most, seed, "x")
    assert len(found) == min(count, most)
    assert ((found >= 0.0) & (found < 1.0)).all()
    assert (np.diff(found) >= 0.0).all()


def test_the_last_of_many_numbers_are_spread_as_if_all_had_been_drawn() -> None:
    found = np.stack([last_of(50, 3, seed, "x") for seed in range(4000)])
    assert found.mean(axis=0) == pytest.approx([48 / 51, 49 / 51, 50 / 51], abs=0.002)
    assert found.std(axis=0)[-1] == pytest.approx(np.sqrt(50 / 52) / 51, rel=0.1)


def test_what_is_done_shows_at_once_and_is_taken_back() -> None:
    one, clock = play()
    now_us = one.watch.now_us()
    usual = one.streams.ratios(now_us)["search"]
    course = Course(now_us - 600 * SECOND_US, now_us + HOUR_US)
    one.streams.modifiers_of = lambda _: [Modifier("x", ("search",), "multiply", 2.0, course)]
    one.streams.change()
    assert one.streams.ratios(now_us)["search"] == pytest.approx(2.0 * usual)
    clock.advance(7200)
    assert one.streams.ratios(one.watch.now_us())["search"] == pytest.approx(usual)


def test_a_watch_runs_is_held_and_moved_on_but_never_goes_back() -> None:
    clock = DrivenClock(START_US)
    watch = Watch(clock)
    shown = [watch.now_us()]
    for speed, passed_s in ((1, 10), (3600, 1), (0, 100), (60, 2), (1, -5)):
        watch.run_at(speed)
        clock.advance(passed_s)
        shown.append(watch.now_us())
    watch.step(HOUR_US)
    shown.append(watch.now_us())
    assert [later - before for before, later in itertools.pairwise(shown)] == [
        10 * SECOND_US, HOUR_US, 0, 120 * SECOND_US, 0, HOUR_US,
    ]  # fmt: skip
