"""What was counted: the same to the bit in every window, changed only where it was changed, nothing lost."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import DAY_US, HOUR_US, QUARTER_US
from kilowatch.simulator.engine.happenings import background
from kilowatch.simulator.engine.history import happened, history, realised
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.statistics import statistics
from tests.simulator.engine.markets import START_US, hourly, large, small
from tests.simulator.engine.test_levels import NAMES, modifier, several

law = settings(max_examples=25, deadline=None)
RUN = Run.of(small(), seed=11)
WITHIN_S = 1.0


@law
@given(done=several, seed=st.integers(0, 5), skip=st.integers(0, 90), count=st.integers(1, 40))
def test_a_window_alone_is_the_same_as_within_the_whole(
    done: list[Modifier], seed: int, skip: int, count: int
) -> None:
    run = Run.of(RUN.world, seed)
    whole = happened(run, Moments(START_US, HOUR_US, skip + count + 5), done)
    alone = happened(run, Moments(START_US + skip * HOUR_US, HOUR_US, count), done)
    assert np.array_equal(whole[:, skip : skip + count], alone)


def test_a_large_world_with_events_is_the_same_in_any_window() -> None:
    run, month = Run.of(large(), seed=3), hourly(30)
    window = Moments(START_US + 9 * DAY_US, HOUR_US, 50)
    whole = happened(run, month, background(run, month))
    alone = happened(run, window, background(run, window))
    assert np.array_equal(whole[:, 216:266], alone)


def test_another_seed_is_another_history_of_the_same_world() -> None:
    one, other = (happened(Run.of(RUN.world, seed), hourly(30)) for seed in (1, 2))
    assert not np.array_equal(one, other)
    counts = [number for number, stream in enumerate(RUN.causes.streams) if stream.kind == "count"]
    assert one[counts].sum(axis=1) == pytest.approx(other[counts].sum(axis=1), rel=0.06)


@law
@given(done=several)
def test_only_what_is_done_makes_a_difference(done: list[Modifier]) -> None:
    grid = hourly(6)
    plain, changed = happened(RUN, grid), happened(RUN, grid, done)
    moved = (levels(RUN, grid, done).ratio != 1.0).any(axis=1)
    assert np.array_equal(plain[~moved], changed[~moved])


def test_twice_as_much_is_about_twice_as_much_in_each_interval() -> None:
    grid = hourly(4)
    plain, double = (
        happened(RUN, grid, done)[0] for done in ([], [modifier("search", "multiply", 2.0, 0, 96)])
    )
    assert (double >= plain).all()
    assert double.sum() / plain.sum() == pytest.approx(2.0, rel=0.01)
    assert np.corrcoef(double[plain > 200] / plain[plain > 200], plain[plain > 200])[0, 1] < 0.3


def test_counts_are_whole_and_spread_as_counts_are() -> None:
    run = Run.of(small(anomalies=0), seed=4)
    found, level = happened(run, hourly(60)), levels(run, hourly(60)).value
    counts = [number for number, stream in enumerate(run.causes.streams) if stream.kind == "count"]
    assert (found[counts] == np.rint(found[counts])).all()
    assert found.min() >= 0.0
    off = (found[NAMES.index("ticket")] - level[NAMES.index("ticket")]) ** 2
    expected = level[NAMES.index("ticket")]
    assert off.sum() / (expected + (0.05 * expected) ** 2).sum() == pytest.approx(1.0, abs=0.15)


def test_every_request_is_answered_or_waits() -> None:
    done = [modifier("supply", "multiply", 0.3), modifier("confirmed", "shift", -0.4, 40, 30)]
    _, found = realised(RUN, hourly(20), done)
    by_name = dict(zip(NAMES, found.value, strict=True))
    happens = np.cumsum(by_name["request"])
    answered = np.cumsum(by_name["confirmed"] + by_name["declined"] + by_name["expired"])
    assert np.array_equal(happens, answered + found.waiting[0])
    assert found.waiting[0].min() >= 0.0
    assert (
        np.cumsum(by_name["rating"])[-1]
        <= np.cumsum(by_name["done"])[-1]
        <= np.cumsum(by_name["confirmed"])[-1]
    )


def test_rates_are_as_the_world_says() -> None:
    by_name = dict(zip(NAMES, happened(RUN, hourly(60)), strict=True))
    requests = by_name["request"].sum()
    assert by_name["confirmed"].sum() / requests == pytest.approx(0.75, abs=0.01)
    assert by_name["rating"].sum() / by_name["done"].sum() == pytest.approx(0.5, abs=0.01)
    share = by_name["share"]
    assert share.mean() == pytest.approx(0.75, abs=0.01)
    assert share.min() >= 0.0
    assert share.max() <= 1.0


def test_some_intervals_are_odd() -> None:
    calm, odd = (
        happened(Run.of(small(anomalies=share), 2), hourly(60))[NAMES.index("supply")] / 500.0
        for share in (0, 0.07)
    )
    assert (np.abs(calm - 1.0) > 0.08).mean() == 0.0
    assert 0.03 < (np.abs(odd - 1.0) > 0.08).mean() < 0.07
    assert np.abs(odd - 1.0).max() < 0.2


@law
@given(first=st.integers(-30, 700), hours=st.integers(1, 300))
def test_made_anew_without_modifiers_is_the_baseline(first: int, hours: int) -> None:
    before = HISTORY
    after = before.regenerated(START_US + first * HOUR_US, START_US + (first + hours) * HOUR_US, ())
    assert np.array_equal(after.value, before.baseline)
    assert not after.is_changed
    assert not after.difference().changed.any()


@law
@given(done=several, first=st.integers(0, 600), hours=st.integers(1, 200))
def test_what_lies_outside_the_window_stays_and_reset_brings_all_back(
    done: list[Modifier], first: int, hours: int
) -> None:
    kept = HISTORY.baseline.copy()
    after = HISTORY.regenerated(START_US + first * HOUR_US, START_US + (first + hours) * HOUR_US, done)
    outside = np.ones(after.moments.count, np.bool_)
    outside[first : first + hours] = False
    assert np.array_equal(after.value[:, outside], kept[:, outside])
    assert np.array_equal(after.baseline, kept)
    assert np.array_equal(after.reset().value, kept)
    assert after.reset().version == after.version + 1


def test_a_window_joins_the_rest_without_a_jump() -> None:
    done = [modifier("search", "multiply", 3.0, -100, 2000)]
    after = HISTORY.regenerated(START_US + 100 * HOUR_US, START_US + 200 * HOUR_US, done)
    ratio = after.value[0] / np.maximum(after.baseline[0], 1.0)
    assert ratio[[100, 101, 102, 103]] == pytest.approx([1.4, 1.8, 2.2, 2.6], abs=0.15)
    assert ratio[104:196].mean() == pytest.approx(3.0, abs=0.1)
    assert ratio[[196, 197, 198, 199]] == pytest.approx([2.6, 2.2, 1.8, 1.4], abs=0.15)


def test_what_begins_and_settles_within_the_window_is_shown_as_it_is() -> None:
    done = [modifier("supply", "multiply", 2.0, 130, 20, curve="linear", fades_h=10)]
    after = HISTORY.regenerated(START_US + 100 * HOUR_US, START_US + 200 * HOUR_US, done)
    whole = happened(RUN, HISTORY.moments, done)
    supply = NAMES.index("supply")
    assert np.array_equal(after.value[supply], whole[supply])
    assert set(after.difference().totals()) >= {"supply", "confirmed"}
    assert after.difference().totals()["supply"] > 100.0


@pytest.mark.parametrize("step_us", [HOUR_US, QUARTER_US])
def test_a_month_of_fifty_streams_with_statistics_takes_less_than_a_second(step_us: int) -> None:
    run = Run.of(large(), seed=1)
    month = Moments(START_US, step_us, 30 * DAY_US // step_us)
    began = time.process_time()
    found = history(run, month, background(run, month))
    known = statistics(found.names, month, found.value, run.world.time_zone)
    took_s = time.process_time() - began
    assert len(known) == 50
    assert took_s < WITHIN_S


HISTORY = history(RUN, hourly(30))
