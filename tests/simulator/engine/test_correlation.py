"""Finding causes: injected truth against what an onlooker finds, over many seeds."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from kilowatch.period import DAY_US, HOUR_US, QUARTER_US
from kilowatch.simulator.engine.correlation import Correlation, correlate
from kilowatch.simulator.engine.events import Event, event_modifiers, expectation, from_template
from kilowatch.simulator.engine.expected import Onlooker
from kilowatch.simulator.engine.happenings import background, happening
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from tests.simulator.engine.markets import START_US, hourly, large

SEEDS = range(100, 112)
LEAST_FOUND, MOST_BLAMED = 0.9, 0.1


def looked_at(run: Run, moments: Moments) -> tuple[list[Event], Correlation]:
    """The events of a span and what is found of them; the truth is in the events only."""
    events = list(happening(run, moments.start_us, moments.end_us - 12 * HOUR_US))
    value = happened(run, moments, background(run, moments))
    expected = [expectation(event, run.causes.names) for event in events]
    return events, correlate(run.causes.names, moments, value, run.world.time_zone, expected)


def test_causes_are_found_and_red_herrings_are_not_blamed() -> None:
    judged: Counter[tuple[bool, bool]] = Counter()
    onsets, echoes = [], Counter[str]()
    for seed in SEEDS:
        run, moments = Run.of(large(), seed), hourly(30, START_US + seed % 2 * 45 * DAY_US)
        events, found = looked_at(run, moments)
        for event in events:
            verdict = found.verdicts[event.id]
            judged[event.moves, verdict.is_cause] += 1
            if event.moves and verdict.is_cause:
                onsets += [
                    one.onset_us - event.begins_us for one in found.moved_by(event.id) if one.is_expected
                ]
                ratio = levels(run, moments, event_modifiers([event], run.causes.names)).ratio
                really = np.abs(ratio - 1.0).max(axis=1) > 0.02
                for one in found.moved_by(event.id):
                    if not one.is_expected:
                        echoes["right" if really[run.causes.number[one.stream]] else "wrong"] += 1
    of_causes = judged[True, True] / (judged[True, True] + judged[True, False])
    of_herrings = judged[False, True] / (judged[False, True] + judged[False, False])
    assert judged.total() > 1000
    assert of_causes >= LEAST_FOUND
    assert of_herrings <= MOST_BLAMED
    assert np.percentile(np.abs(onsets), 90) <= 2 * HOUR_US
    assert echoes["right"] > 200
    assert echoes["wrong"] <= 0.2 * echoes["right"]


def test_quarters_of_an_hour_do_as_well() -> None:
    run = Run.of(large(), 5)
    events, found = looked_at(run, Moments(START_US, QUARTER_US, 30 * 96))
    right = [found.verdicts[event.id].is_cause == event.moves for event in events]
    assert np.mean(right) > 0.95


def test_both_questions_have_one_answer_and_it_says_how_strongly_and_when() -> None:
    run, moments = Run.of(large(), 8), hourly(30)
    event = from_template(run.world, "event-9", START_US + 400 * HOUR_US, event_id="shock")
    others = [
        from_template(
            run.world, f"event-{number}", START_US + at * HOUR_US, event_id=f"red-{number}", moves=False
        )
        for number, at in ((8, 398), (9, 100), (19, 405), (2, 400))
    ]
    value = happened(run, moments, event_modifiers([event], run.causes.names))
    expected = [expectation(one, run.causes.names) for one in (event, *others)]
    found = correlate(run.causes.names, moments, value, run.world.time_zone, expected)
    moved = {one.stream: one for one in found.moved_by("shock")}
    assert set(moved) >= {"customer.thing0", "customer.thing1", "customer.level"}
    assert moved["customer.thing0"].change == pytest.approx(0.49, abs=0.08)
    assert abs(moved["customer.thing0"].onset_us - event.begins_us) <= HOUR_US
    assert moved["customer.thing0"].is_expected
    assert not moved["customer.level"].is_expected
    assert [one.event for one in found.movers_of("customer.thing1")] == ["shock"]
    assert found.movers_of("tutor.thing2") == ()
    for one in others:
        assert found.verdicts[one.id].score < 0.5
        assert found.moved_by(one.id) == ()


def test_the_truth_is_not_looked_at() -> None:
    run, moments = Run.of(large(), 2), hourly(30)
    events, found = looked_at(run, moments)
    value = happened(run, moments, background(run, moments))
    turned = [expectation(replace(event, moves=not event.moves), run.causes.names) for event in events]
    assert correlate(run.causes.names, moments, value, run.world.time_zone, turned) == found


def test_where_nothing_happens_nothing_is_found() -> None:
    for seed in (1, 2, 3):
        run, moments = Run.of(large(), seed), hourly(30)
        events = happening(run, moments.start_us, moments.end_us)
        expected = [expectation(event, run.causes.names) for event in events]
        found = correlate(run.causes.names, moments, happened(run, moments), run.world.time_zone, expected)
        assert np.mean([verdict.is_cause for verdict in found.verdicts.values()]) <= 0.05


def test_streams_that_stand_still_and_short_spans_are_no_trouble() -> None:
    moments = hourly(2)
    run = Run.of(large(), 2)
    expected = [expectation(one, run.causes.names) for one in happening(run, START_US, START_US + 4 * DAY_US)]
    still = np.zeros((len(run.causes.names), moments.count))
    found = correlate(run.causes.names, moments, still, "UTC", expected)
    assert len(found.verdicts) == len(expected)
    assert not any(verdict.is_cause for verdict in found.verdicts.values())
    assert correlate(run.causes.names, Moments(START_US, HOUR_US, 0), still[:, :0], "UTC", expected).verdicts
    assert correlate(run.causes.names, moments, still, "UTC", []).verdicts == {}


def test_what_is_expected_is_not_spoilt_by_what_happened() -> None:
    moments = hourly(30)
    hour = np.arange(moments.count) % 24
    usual = 100.0 + 80.0 * np.sin(hour / 24.0 * 2 * np.pi)
    value = usual.copy()
    value[200:230] *= 3.0
    value[500:548] = 0.0
    found = Onlooker(moments, value[None, :], "UTC").learn(np.ones((1, moments.count)), rounds=2)
    assert found.value[0] == pytest.approx(usual, rel=0.01)
