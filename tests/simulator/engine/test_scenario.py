"""The life of a scenario, and what modifiers do over time."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.errors import Problem
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import conflicts, streams_of
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Activation, begin, scenario_modifiers, stop
from kilowatch.simulator.engine.settling import Course
from tests.simulator.engine.markets import START_US, hourly, large, small, small_document
from tests.simulator.engine.test_levels import modifier

law = settings(max_examples=60, deadline=None)
RUN = Run.of(small())
NOW_US = START_US + 10 * HOUR_US
WITHIN_S = 0.1


def hours(at_us: int) -> float:
    return (at_us - NOW_US) / HOUR_US


def ratio(activation: Activation, name: str, at_h: float) -> float:
    at_us = NOW_US + round(at_h * HOUR_US)
    found = levels(
        RUN, Moments(at_us - at_us % MINUTE_US, MINUTE_US, 1), scenario_modifiers(RUN.world, activation)
    )
    return float(found.ratio[RUN.causes.number[name]][0])


@law
@given(
    begins_h=st.floats(-5, 5),
    lasts_h=st.floats(0, 30),
    fades_h=st.floats(0.02, 30),
    curve=st.sampled_from(["linear", "exponential", "immediate"]),
    step_us=st.sampled_from([15 * MINUTE_US, HOUR_US, 12 * HOUR_US]),
)
def test_strength_rises_to_one_and_falls_to_nothing(
    begins_h: float, lasts_h: float, fades_h: float, curve: Any, step_us: int
) -> None:
    begins, ends = START_US + round(begins_h * HOUR_US), START_US + round((begins_h + lasts_h) * HOUR_US)
    course = Course(begins, ends, curve, round(fades_h * HOUR_US))
    grid = Moments.covering(begins - DAY_US, course.over_us + DAY_US, step_us)
    strength = course.strength(grid)
    assert strength.min() >= 0.0
    assert strength.max() <= 1.0
    ts = grid.ts_us
    assert (strength[(ts >= begins) & (ts + step_us <= ends)] == 1.0).all()
    assert (strength[(ts >= course.over_us) | (ts + step_us <= begins)] == 0.0).all()
    assert (np.diff(strength[ts >= ends]) <= 1e-9).all()
    at_least = (ends - begins) / step_us
    assert strength.sum() >= at_least - 1e-6


def test_a_surge_cascades_and_settles_in_a_straight_line() -> None:
    begun = begin(RUN, "surge", NOW_US)
    one = begun.activation
    assert [ratio(one, "search", at) for at in (-0.1, 1, 11.9, 15, 19)] == pytest.approx(
        [1, 2, 2, 1.5, 1], abs=0.01
    )
    assert [ratio(one, "supply", at) for at in (3.9, 5, 15)] == pytest.approx([1, 0.7, 0.85], abs=0.01)
    assert ratio(one, "ticket", 5.5) < 1.3 < ratio(one, "ticket", 6.5)
    assert (hours(one.ends_us), one.phase(NOW_US), one.phase(one.ends_us)) == (12, "active", "settling")
    assert 12 < hours(one.settled_us) < 12 + 6 + 24
    assert one.phase(one.settled_us) == "settled"
    assert begun.warnings == ()


def test_an_outage_is_over_at_once_and_what_waited_comes() -> None:
    one = begin(RUN, "outage", NOW_US).activation
    assert [ratio(one, "request", at) for at in (1, 3.9, 4.1, 5.9, 6.1)] == pytest.approx([0, 0, 1.8, 1.8, 1])
    assert hours(one.settled_us) >= 6


def test_doubt_fades_fast_at_first() -> None:
    one = begin(RUN, "doubt", NOW_US).activation
    found = levels(RUN, hourly(6), scenario_modifiers(RUN.world, one)).probability[0, 0]
    begins = 10 + 24
    assert found[20] == pytest.approx(0.45)
    assert found[begins + 36] == pytest.approx(0.75 - 0.3 * 0.0759, abs=0.01)
    assert found[begins + 72 :] == pytest.approx(np.full(len(found) - begins - 72, 0.75))


def test_settled_is_within_five_per_cent_in_all_that_it_acts_on() -> None:
    for scenario in RUN.world.scenarios:
        begun = begin(RUN, scenario, NOW_US)
        acted_on = {name for one in begun.modifiers for name in one.streams}
        rows = [RUN.causes.number[name] for name in acted_on]
        found = begun.levels
        settled = found.moments.ts_us >= begun.activation.settled_us
        off = np.abs(found.ratio[rows] - 1.0)
        assert off[:, settled].max() <= 0.05
        assert off[:, ~settled][:, -1].max() > 0.05
        assert (found.ratio[:, -1] == 1.0).all()


@law
@given(scenario=st.sampled_from(["surge", "outage", "doubt"]), after_h=st.floats(0.01, 3.9))
def test_stopped_it_settles_from_now_and_nothing_new_begins(scenario: str, after_h: float) -> None:
    one = begin(RUN, scenario, NOW_US).activation
    now_us = NOW_US + round(after_h * HOUR_US)
    stopped = stop(RUN, [one], now_us).activation
    assert stopped.phase(now_us) != "active"
    assert stopped.settled_us <= one.settled_us
    modifiers = scenario_modifiers(RUN.world, stopped)
    backlog = RUN.world.scenarios[scenario].settling.backlog
    fresh = [course for course in (each.course for each in modifiers) if course.begins_us >= now_us]
    assert len(fresh) == (backlog is not None)
    assert all(each.course.ends_us <= now_us for each in modifiers if each.course not in fresh)


def test_one_is_active_at_a_time_and_the_next_may_begin_while_it_settles() -> None:
    one = begin(RUN, "surge", NOW_US).activation
    with pytest.raises(Problem, match="'Surge' is active for 600 more minutes") as refused:
        begin(RUN, "outage", NOW_US + 2 * HOUR_US, [one])
    assert (refused.value.status, refused.value.code) == (409, "scenario_active")
    other = begin(RUN, "outage", NOW_US + 13 * HOUR_US, [one]).activation
    assert other.phase(NOW_US + 14 * HOUR_US) == "active"


def test_what_is_unknown_or_not_active_is_refused_with_what_there_is() -> None:
    with pytest.raises(Problem, match="it has doubt, outage, surge") as refused:
        begin(RUN, "flood", NOW_US)
    assert (refused.value.status, refused.value.code) == (404, "unknown_scenario")
    with pytest.raises(Problem, match="nothing is to be stopped") as refused:
        stop(RUN, [], NOW_US)
    assert refused.value.status == 409
    one = begin(RUN, "surge", NOW_US).activation
    with pytest.raises(Problem, match="surge is settling already"):
        stop(RUN, [one], NOW_US + 13 * HOUR_US)


def test_a_cascade_that_begins_after_the_end_lasts_as_long_as_the_scenario() -> None:
    document = small_document()
    document["scenarios"]["surge"]["cascades"] = [
        {"id": "late", "delay": "20h", "effects": [{"streams": ["supply"], "value": 0.5}]}
    ]
    begun = begin(Run.of(small(**document)), "surge", NOW_US)
    late = next(one.course for one in begun.modifiers if one.streams == ("supply",))
    assert (hours(late.begins_us), hours(late.ends_us)) == (20, 32)


def test_conflicts_are_told_and_what_simply_adds_up_is_not() -> None:
    def codes(*modifiers: Any) -> list[str]:
        return [one.code for one in conflicts(modifiers)]

    up, down = modifier("search", "multiply", 2.0), modifier("search", "multiply", 0.5)
    low, high = modifier("search", "override", 5.0), modifier("search request", "override", 9.0, precedence=2)
    assert codes(up, up) == []
    assert codes(up, modifier("request", "multiply", 0.5)) == []
    assert codes(up, modifier("search", "multiply", 0.5, 100)) == []
    assert codes(up, down) == ["opposed"]
    assert codes(low, high) == ["overridden"]
    assert codes(low, modifier("search", "override", 7.0)) == ["equal_precedence"]
    assert codes(up, low) == ["overridden"]
    assert codes(up, modifier("search", "multiply", 6.0)) == ["extreme"]
    assert conflicts([low, high])[0].streams == ("search",)


def test_patterns_mean_streams_by_their_beginning() -> None:
    names = list(large().streams)
    assert streams_of(["customer.*"], names) == tuple(name for name in names if name.startswith("customer."))
    assert streams_of(["*"], names) == tuple(names)
    assert streams_of(["session.rate", "nothing"], names) == ("session.rate",)


def test_a_fine_interval_makes_a_long_scenario_no_slower() -> None:
    run = Run.of(small(interval="10s"))
    began = time.process_time()
    begun = begin(run, "doubt", NOW_US)
    assert time.process_time() - began < WITHIN_S
    assert begun.levels.moments.step_us > 10_000_000
    assert begun.activation.phase(begun.activation.ends_us + DAY_US) == "settling"


def test_a_scenario_of_fifty_streams_begins_within_a_tenth_of_a_second() -> None:
    run = Run.of(large())
    took = []
    for _ in range(3):
        began = time.process_time()
        begin(run, "surge", NOW_US)
        took.append(time.process_time() - began)
    assert min(took) < WITHIN_S
