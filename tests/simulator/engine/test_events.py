"""Events: which happen by themselves and when, what they do, and those that people plan or describe."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.errors import Problem
from kilowatch.period import DAY_US, HOUR_US, local_buckets
from kilowatch.simulator.engine.events import (
    Event,
    event_modifiers,
    expectation,
    from_template,
    injected_event,
    planned_events,
)
from kilowatch.simulator.engine.happenings import happening
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import begin, stop
from kilowatch.simulator.world.format import World
from tests.simulator.engine.markets import START_US, hourly, large, small, small_document, surge

ZONE = "Europe/Berlin"
law = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**40)


def month(seed: int, world: World | None = None, start_us: int = START_US) -> tuple[Event, ...]:
    return happening(Run.of(world or large(), seed), start_us, start_us + 30 * DAY_US)


def timed(**timing: object) -> World:
    document = small_document()
    document["templates"] = {
        "it": {
            "type": timing.pop("type", "product"),
            "title": "It",
            "description": "It.",
            "effects": [{"streams": ["search"], "value": 1.5}],
            "lasts": "6h",
            "timing": timing,
        }
    }
    return World.model_validate(document)


@law
@given(seed=seeds, first_h=st.integers(0, 700), hours=st.integers(0, 200))
def test_a_span_has_the_same_events_alone_as_within_a_longer_one(seed: int, first_h: int, hours: int) -> None:
    run, first = Run.of(large(), seed), START_US + first_h * HOUR_US
    last = first + hours * HOUR_US
    whole = happening(run, START_US, START_US + 60 * DAY_US)
    assert happening(run, first, last) == tuple(event for event in whole if first <= event.at_us < last)


@law
@given(seed=seeds, weeks=st.integers(0, 60))
def test_a_month_has_60_to_150_events_2_to_5_a_day_of_which_60_to_70_per_cent_move_something(
    seed: int, weeks: int
) -> None:
    start_us = int(local_buckets(np.array([START_US + weeks * 7 * DAY_US]), ZONE, "1d")[0])
    found = month(seed, start_us=start_us)
    days = local_buckets(np.array([event.at_us for event in found]), ZONE, "1d").tolist()
    whole = [day for day in days if start_us <= day < start_us + 29 * DAY_US]
    counts = Counter(whole)
    assert 60 <= len(found) <= 150
    assert min(counts.values()) >= 2
    assert max(counts.values()) <= 5
    assert 0.6 <= np.mean([event.moves for event in found]) <= 0.7
    assert len({event.id for event in found}) == len(found)
    assert [event.at_us for event in found] == sorted(event.at_us for event in found)


def test_academic_events_are_on_dates_that_everybody_knows() -> None:
    dates = [
        {(event.template, event.at_us // DAY_US) for event in month(seed) if event.type == "academic"}
        for seed in (1, 2)
    ]
    assert len(dates[0]) >= 10
    assert len(dates[0] & dates[1]) / len(dates[0]) > 0.8  # only their hours are chance
    world = timed(type="academic", per_month=6, hours=[9], seasons=["exams"])
    found = happening(Run.of(world, 3), START_US, START_US + 150 * DAY_US)
    days = [str(np.datetime64(event.at_us, "us").astype("datetime64[D]")) for event in found]
    assert days[:3] == ["2026-11-15", "2026-11-21", "2026-11-26"]
    assert days[-1] <= "2026-12-20"


def test_clustered_events_come_together_and_others_do_not() -> None:
    def gaps(world: World) -> list[int]:
        found = happening(Run.of(world, 7), START_US, START_US + 365 * DAY_US)
        return [int(gap) for gap in np.diff([event.at_us // DAY_US for event in found])]

    clustered, free = gaps(timed(per_month=9, clustered=True)), gaps(timed(per_month=9))
    assert abs(len(clustered) - 108) < 30
    assert np.mean(np.array(clustered) <= 1) > np.mean(np.array(free) <= 1) + 0.2
    assert np.mean(np.array(clustered) >= 6) > 0.2


def test_events_come_at_their_hours_of_the_local_clock_in_summer_and_winter() -> None:
    found = happening(Run.of(timed(per_month=60, hours=[9, 17]), 1), START_US, START_US + 120 * DAY_US)
    local = [
        (event.at_us + (2 if event.at_us < 1792890000000000 else 1) * HOUR_US) % DAY_US for event in found
    ]
    assert len(found) > 100
    assert {at // HOUR_US for at in local} == {9, 17}


def test_an_event_moves_what_it_says_when_it_says_so_and_a_red_herring_nothing() -> None:
    run = Run.of(timed(per_month=0))
    it = from_template(run.world, "it", START_US + 20 * HOUR_US, event_id="it")
    ratio = levels(run, hourly(2), event_modifiers([it], run.causes.names)).of("search") / levels(
        run, hourly(2)
    ).of("search")
    assert ratio[[19, 20, 25, 26]] == pytest.approx([1.0, 1.5, 1.5, 1.0])
    red = from_template(run.world, "it", it.at_us, event_id="it", moves=False)
    assert event_modifiers([red], run.causes.names) == ()
    assert expectation(red, run.causes.names) == expectation(it, run.causes.names)


def test_what_is_expected_says_where_when_which_way_and_how_much() -> None:
    described = {
        "type": "operational",
        "title": "It",
        "description": "It.",
        "effects": [
            {"streams": ["search", "request"], "value": 1.1},
            {"streams": ["supply"], "how": "add", "value": -5, "after": "2h"},
            {"streams": ["share"], "how": "override", "value": 0.1, "lasts": "10h"},
        ],
        "delay": "1h",
        "lasts": "4h",
    }
    event = injected_event(small(), described, START_US, event_id="x")
    found = expectation(event, list(small().streams))
    assert found.directions == {"search": 1, "request": 1, "supply": -1, "share": 0}
    assert ((found.begins_us - START_US) / HOUR_US, (found.ends_us - START_US) / HOUR_US) == (1, 11)
    assert (found.magnitude, found.kind, event.origin, event.moves) == ("high", "x", "injected", True)


def test_a_wrong_event_is_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(Problem) as refused:
        injected_event(small(), {"type": "rumour", "title": "It", "lasts": "0s"}, START_US, event_id="x")
    assert (refused.value.status, refused.value.code) == (422, "invalid_event")
    assert {fault.pointer for fault in refused.value.errors} == {"/type", "/description", "/lasts"}
    wrong = {"type": "product", "title": "It", "description": "It.", "lasts": "1h"}
    wrong["effects"] = [  # type: ignore[assignment]
        {"streams": ["search", "serch"], "value": 2},
        {"streams": ["search"], "value": 1e9},
        {"streams": ["search"], "how": "add", "value": -1e300},
        {"streams": ["confirmed", "search"], "how": "shift", "value": 0.1},
    ]
    with pytest.raises(Problem) as refused:
        injected_event(small(), wrong, START_US, event_id="x")
    assert [(fault.code, fault.pointer) for fault in refused.value.errors] == [
        ("unknown_stream", "/effects/0/streams/1"),
        ("invalid_effect", "/effects/1/value"),
        ("invalid_effect", "/effects/2/value"),
        ("invalid_effect", "/effects/3/streams/1"),
    ]
    with pytest.raises(Problem, match="has no event 'flood'; it has none"):
        from_template(small(), "flood", START_US, event_id="x")


def test_a_scenario_brings_its_events_until_it_is_stopped() -> None:
    plan = [
        {"template": "event-1", "at": "-6h"},
        {"template": "event-2"},
        {"template": "event-3", "at": "12h"},
    ]
    document = large().model_dump(by_alias=True)
    document["scenarios"] = {"surge": surge() | {"events": plan}}
    run = Run.of(World.model_validate(document))
    one = begin(run, "surge", START_US).activation
    found = planned_events(run.world, one)
    assert [(event.template, (event.at_us - START_US) / HOUR_US) for event in found] == [
        ("event-1", -6),
        ("event-2", 0),
        ("event-3", 12),
    ]
    assert {event.origin for event in found} == {"scenario"}
    stopped = stop(run, [one], START_US + 5 * HOUR_US).activation
    assert len(planned_events(run.world, stopped)) == 2
    cut = event_modifiers(found, run.causes.names, cut_us=START_US + 5 * HOUR_US)
    assert max(each.course.over_us for each in cut) == START_US + 5 * HOUR_US


def test_a_world_without_events_has_none() -> None:
    assert month(1, small()) == ()
    assert levels(Run.of(small()), Moments(START_US, HOUR_US, 0)).value.shape == (10, 0)
