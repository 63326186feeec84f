"""Watches over frames: what a slow reading of the definition says, one sample at a time, in any frames."""

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.rules.watch import NEVER_US, OPERATORS, Operator, States, Watches, evaluate

SECOND_US = 1_000_000


@dataclass
class Condition:
    """One watch, as a person would say it."""

    series: int
    operator: Operator
    limit: float
    clear: float
    for_s: int
    cooldown_s: int

    def breaches(self, value: float) -> bool:
        limit = self.limit
        return {
            ">": value > limit,
            ">=": value >= limit,
            "<": value < limit,
            "<=": value <= limit,
            "=": value == limit,
            "!=": value != limit,
        }[self.operator]

    def is_well(self, value: float) -> bool:
        if self.clear == self.limit or self.operator in ("=", "!="):
            return not self.breaches(value)
        return value <= self.clear if self.operator in (">", ">=") else value >= self.clear


Sample = tuple[int, int, float]
Told = tuple[int, bool, int, float, int]


def slowly(condition: Condition, number: int, samples: list[Sample]) -> list[Told]:
    """What is raised and cleared when samples come one by one."""
    told: list[Told] = []
    seen = since = last_raise = NEVER_US
    raised = False
    for series, second, value in samples:
        ts_us = second * SECOND_US
        if series != condition.series or ts_us <= seen:
            continue
        seen = ts_us
        if since == NEVER_US and condition.breaches(value):
            since = ts_us
        elif since != NEVER_US and condition.is_well(value):
            if raised:
                told.append((number, False, ts_us, value, since))
            since, raised = NEVER_US, False
        if since == NEVER_US or raised:
            continue
        lasted = ts_us - since >= condition.for_s * SECOND_US
        if lasted and ts_us >= last_raise + condition.cooldown_s * SECOND_US:
            told.append((number, True, ts_us, value, since))
            raised, last_raise = True, ts_us
    return told


def columns(conditions: list[Condition]) -> Watches:
    return Watches(
        np.array([one.series for one in conditions], np.int32),
        np.array([OPERATORS.index(one.operator) for one in conditions], np.int8),
        np.array([one.limit for one in conditions], np.float64),
        np.array([one.clear for one in conditions], np.float64),
        np.array([one.for_s * SECOND_US for one in conditions], np.int64),
        np.array([one.cooldown_s * SECOND_US for one in conditions], np.int64),
    )


def at_once(watches: Watches, states: States, samples: list[Sample]) -> list[Told]:
    ordered = sorted(samples, key=lambda sample: sample[:2])
    series, second, value = (list(column) for column in zip(*ordered, strict=True)) if ordered else ([],) * 3
    changes = evaluate(
        watches,
        states,
        np.array(series, np.int32),
        np.array(second, np.int64) * SECOND_US,
        np.array(value, np.float64),
    )
    columns_ = (changes.watch, changes.is_raise, changes.ts_us, changes.value, changes.since_us)
    return list(zip(*(column.tolist() for column in columns_), strict=True))


value = st.integers(0, 8).map(float)


@st.composite
def condition(draw: st.DrawFn) -> Condition:
    operator = draw(st.sampled_from(OPERATORS))
    limit = draw(value)
    gap = draw(st.integers(0, 3))
    clear = limit - gap if operator in (">", ">=") else limit + gap
    return Condition(
        draw(st.integers(1, 3)), operator, limit, clear, draw(st.integers(0, 6)), draw(st.integers(0, 12))
    )


conditions = st.lists(condition(), min_size=1, max_size=6).map(
    lambda some: sorted(some, key=lambda one: one.series)
)
samples = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 60), value), max_size=60, unique_by=lambda sample: sample[:2]
)
cuts = st.lists(st.integers(0, 60), max_size=6)


@settings(max_examples=500, deadline=None)
@given(conditions, samples, cuts)
def test_frames_say_what_one_sample_after_the_other_says(
    wanted: list[Condition], given_samples: list[Sample], cut_at: list[int]
) -> None:
    in_time = sorted(given_samples, key=lambda sample: sample[1])
    expected = sorted(told for number, one in enumerate(wanted) for told in slowly(one, number, in_time))
    watches, states = columns(wanted), States.of(len(wanted))
    edges = [0, *sorted(cut_at), 61]
    told: list[Told] = []
    for low, high in itertools.pairwise(edges):
        told += at_once(watches, states, [one for one in in_time if low <= one[1] < high])
    assert sorted(told) == expected


@settings(max_examples=200, deadline=None)
@given(conditions, samples)
def test_what_comes_again_or_late_changes_nothing(
    wanted: list[Condition], given_samples: list[Sample]
) -> None:
    watches, states = columns(wanted), States.of(len(wanted))
    at_once(watches, states, given_samples)
    assert at_once(watches, states, given_samples) == []


def test_a_value_that_swings_between_the_limits_raises_once_and_clears_once() -> None:
    kettle = Condition(1, ">", 2000.0, 1500.0, 0, 0)
    swinging: list[Sample] = [(1, second, 1999.0 + 2 * (second % 2)) for second in range(3600)]
    told = at_once(columns([kettle]), States.of(1), [*swinging, (1, 3600, 0.0)])
    assert [(is_raise, ts_us // SECOND_US) for _, is_raise, ts_us, _, _ in told] == [(True, 1), (False, 3600)]
