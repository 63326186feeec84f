"""Rates and energy of readings: what a slow sum says, however the readings are cut into frames."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.rules.derive import MINUTE_US, Derivation, Samples, find_silences
from kilowatch.rules.rule import Input

Sample = tuple[int, int, float]
"""Series, second, value."""
SECOND_US = 1_000_000
KINDS = {1: 0, 2: 1, 3: 2}
"""Series 1 is power in W, 2 a counter in Wh, 3 amounts in Wh."""
SCALE = {1: 1.0, 2: 1e6, 3: 1e6}


def columns(samples: Sequence[Sample]) -> Samples:
    return Samples.sorted(
        np.array([one[0] for one in samples], np.int32),
        np.array([one[1] for one in samples], np.int64) * SECOND_US,
        np.array([one[2] for one in samples], np.float64),
    )


def derivation(which: Input) -> Derivation:
    return Derivation(
        which,
        np.array([1, 2, 3], np.int32),
        np.array([KINDS[one] for one in (1, 2, 3)], np.int8),
        np.array([SCALE[one] for one in (1, 2, 3)]),
    )


def told(which: Input, frames: Sequence[Sequence[Sample]]) -> list[tuple[int, int, float]]:
    made = derivation(which)
    found = []
    for frame in frames:
        if frame:
            values = made.add(columns(frame))
            found += list(
                zip(values.series.tolist(), values.ts_us.tolist(), values.value.tolist(), strict=True)
            )
    return sorted(found)


@st.composite
def cut_samples(draw: st.DrawFn) -> tuple[list[Sample], list[list[Sample]]]:
    """Samples, each series ascending, and the same in frames."""
    samples: list[Sample] = []
    for series in (1, 2, 3):
        at = draw(st.integers(0, 100))
        for step in draw(st.lists(st.integers(1, 700), max_size=12)):
            samples.append((series, at, float(draw(st.integers(-50, 500)))))
            at += step
    samples.sort(key=lambda one: one[1])
    cuts = sorted(draw(st.lists(st.integers(0, len(samples)), max_size=5)))
    edges = [0, *cuts, len(samples)]
    return samples, [samples[a:b] for a, b in itertools.pairwise(edges)]


@settings(deadline=None)
@given(cut_samples(), st.sampled_from(["value", "rate_per_minute", "energy_1m", "energy_15m"]))
def test_cutting_into_frames_changes_nothing(
    given_: tuple[list[Sample], list[list[Sample]]], which: Input
) -> None:
    samples, frames = given_
    assert told(which, frames) == told(which, [samples])


@settings(deadline=None)
@given(cut_samples())
def test_what_is_not_newer_changes_nothing(given_: tuple[list[Sample], list[list[Sample]]]) -> None:
    samples, frames = given_
    for which in ("rate_per_minute", "energy_1m"):
        again = [part for frame in frames for part in (frame, [(*one[:2], -7.0) for one in frame])]
        assert told(which, again) == told(which, [samples])


@settings(deadline=None)
@given(cut_samples())
def test_a_rate_is_the_difference_per_minute(given_: tuple[list[Sample], list[list[Sample]]]) -> None:
    samples, _ = given_
    slow: list[Any] = []
    for series in (1, 2, 3):
        mine = [one for one in samples if one[0] == series]
        for before, after in itertools.pairwise(mine):
            rate = (after[2] - before[2]) * 60 / (after[1] - before[1])
            slow.append((series, after[1] * SECOND_US, pytest.approx(rate)))
    assert told("rate_per_minute", [samples]) == sorted(slow, key=lambda one: one[:2])


def test_no_rate_and_no_energy_over_a_long_gap() -> None:
    samples = [(1, 0, 10.0), (1, 3601, 20.0), (1, 3661, 20.0)]
    assert told("rate_per_minute", [samples]) == [(1, 3661 * SECOND_US, 0.0)]
    assert told("energy_15m", [samples]) == []


def test_energy_of_whole_minutes_is_told_at_their_end() -> None:
    power = [(1, second, 36.0) for second in range(0, 181, 10)]
    assert told("energy_1m", [power]) == [(1, minute * MINUTE_US, 0.6) for minute in (1, 2, 3)]
    # Of a minute that is not whole, less than nine tenths are known.
    assert told("energy_1m", [power[2:]]) == [(1, minute * MINUTE_US, 0.6) for minute in (2, 3)]
    counter = [(2, 0, 5.0), (2, 120, 9.0), (2, 240, 3.0)]
    used = [(2, minute * MINUTE_US, 2.0 if minute < 3 else 0.0) for minute in (1, 2, 3, 4)]
    assert told("energy_1m", [counter]) == used
    amounts = [(3, 0, 7.0), (3, 60, 4.0), (3, 120, -1.0)]
    assert told("energy_1m", [amounts]) == [(3, MINUTE_US, 4.0), (3, 2 * MINUTE_US, 0.0)]


def test_memory_goes_over_to_the_next_derivation() -> None:
    before = derivation("energy_1m")
    before.add(columns([(1, 0, 60.0), (1, 50, 60.0)]))
    after = Derivation("energy_1m", np.array([1, 9], np.int32), np.zeros(2, np.int8), np.ones(2))
    after.keep_memory_of(before)
    values = after.add(columns([(1, 60, 60.0), (9, 60, 1.0)]))
    assert (values.series.tolist(), values.value.tolist()) == ([1], [1.0])
    nothing = Derivation("value", np.empty(0, np.int32), np.empty(0, np.int8), np.empty(0))
    nothing.keep_memory_of(before)


def test_silences_are_the_pauses_that_are_too_long() -> None:
    found = find_silences(
        columns([(1, 0, 1.0), (1, 60, 1.0), (1, 500, 1.0), (2, 5, 1.0)]), 100_000_000, 550_000_000
    )
    assert found.subject.tolist() == [1, 2]
    assert (found.since_us // SECOND_US).tolist() == [60, 5]
    assert (found.until_us // SECOND_US).tolist() == [500, 550]
    assert found.is_over.tolist() == [True, False]
