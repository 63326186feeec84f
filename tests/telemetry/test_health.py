"""The health score: its bounds, its best, and that doing worse in any part never raises it."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.telemetry.health import (
    ALLOWED_DELAY_US,
    COMPLETENESS,
    DELAY,
    ERRORS,
    MINUTE_US,
    SPAN_US,
    UPTIME,
    Health,
    Minutes,
    Observed,
    cadence_us,
    completeness_part,
    delay_part,
    error_part,
    judge_health,
    uptime_part,
)

NOW_US = 1_780_000_000_123_456
SECOND_US = 1_000_000
times = st.lists(st.integers(1, SPAN_US), min_size=1, max_size=60, unique=True).map(
    lambda ago: np.array(sorted(NOW_US - one for one in ago), np.int64)
)
cadences = st.one_of(
    st.integers(100_000, 10 * SECOND_US), st.integers(1, 4 * 3600).map(lambda s: s * SECOND_US)
)


def minutes_of(ts_us: np.ndarray) -> Minutes:
    """The roll-ups of readings at these times."""
    starts = np.flatnonzero(np.append(True, np.diff(ts_us // MINUTE_US) != 0))
    ends = np.append(starts[1:], len(ts_us))
    return Minutes(ts_us[starts], ts_us[ends - 1], (ends - starts).astype(np.int64))


def regular(cadence: int, phase: int, span_us: int = SPAN_US) -> np.ndarray:
    """Readings one cadence apart until now, of a span's whole minutes."""
    opens_us = (NOW_US - SPAN_US) // MINUTE_US * MINUTE_US + MINUTE_US
    first = max(opens_us, NOW_US - span_us)
    return np.arange(NOW_US - 1 - phase % cadence, first - 1, -cadence, dtype=np.int64)[::-1]


def perfect(cadence: int, phase: int = 0, span_us: int = SPAN_US) -> Observed:
    ts_us = regular(cadence, phase, span_us)
    newest = int(ts_us[-1])
    return Observed(NOW_US, [minutes_of(ts_us)], 0, newest, newest + 50_000)


@given(cadences, st.integers(0, 1 << 40), st.integers(2 * 3600 * SECOND_US, SPAN_US))
def test_a_perfect_device_has_100(cadence: int, phase: int, span_us: int) -> None:
    observed = perfect(cadence, phase, max(span_us, 4 * cadence))
    health = judge_health(observed)
    assert health.score == 100, health
    assert health.reason is None
    assert health.cadence_s is not None
    assert abs(health.cadence_s * SECOND_US - cadence) <= 1 + cadence / 1000


@given(
    st.lists(times, max_size=3),
    st.integers(0, 1000),
    st.none() | st.integers(NOW_US - 2 * SPAN_US, NOW_US + SECOND_US),
    st.booleans(),
)
def test_the_score_and_its_parts_stay_within_bounds(
    series: list[np.ndarray], dead_letters: int, last_seen_us: int | None, in_maintenance: bool
) -> None:
    newest = max((int(ts_us[-1]) for ts_us in series), default=None)
    minutes = [minutes_of(ts_us) for ts_us in series]
    health = judge_health(Observed(NOW_US, minutes, dead_letters, newest, last_seen_us, in_maintenance))
    assert health.score is None or 0 <= health.score <= 100
    assert (health.score is None) <= (health.reason in ("no_data", "too_few_readings"))
    for part in (health.uptime, health.completeness, health.errors, health.delay):
        assert (part is None) == (health.uptime is None)
        assert part is None or 0 <= part.share <= 1
    assert abs(UPTIME + COMPLETENESS + ERRORS + DELAY - 1) < 1e-12


@given(times, st.data())
def test_fewer_intervals_never_raise_the_uptime(ts_us: np.ndarray, data: st.DataObject) -> None:
    left = np.array(data.draw(st.lists(st.sampled_from(ts_us.tolist()), min_size=1, unique=True)), np.int64)
    start_us = NOW_US - SPAN_US
    all_of, some_of = (uptime_part([minutes_of(one)], start_us, SPAN_US, 1) for one in (ts_us, np.sort(left)))
    assert some_of.share <= all_of.share
    assert some_of.expected == all_of.expected


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 99)), min_size=1), st.data())
def test_fewer_readings_never_raise_the_completeness(
    owed: list[tuple[int, int]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(owed) - 1))
    came, due = owed[place]
    fewer = [*owed]
    fewer[place] = data.draw(st.integers(0, came)), due
    assert completeness_part(fewer).share <= completeness_part(owed).share


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_more_dead_letters_never_raise_the_score(values: int, dead: int, more: int) -> None:
    assert error_part(dead + more, values).share <= error_part(dead, values).share
    observed = perfect(600 * SECOND_US)
    many = replace(observed, dead_letters=dead + more)
    assert score(judge_health(many)) <= score(judge_health(replace(observed, dead_letters=dead)))


@given(cadences, st.integers(0, SPAN_US), st.integers(0, SPAN_US))
def test_a_longer_delay_never_raises_the_score(cadence: int, delay: int, more: int) -> None:
    observed = perfect(cadence)
    assert observed.newest_us is not None
    late, later = (replace(observed, last_seen_us=observed.newest_us + one) for one in (delay, delay + more))
    assert delay_part(later, cadence).share <= delay_part(late, cadence).share
    assert score(judge_health(later)) <= score(judge_health(late))


def score(health: Health) -> float:
    assert health.score is not None
    return health.score


def test_a_device_without_readings_is_told_from_a_silent_one() -> None:
    never = judge_health(Observed(NOW_US, [], 3, None, None))
    assert (never.score, never.reason) == (None, "no_data")
    silent = judge_health(Observed(NOW_US, [], 0, NOW_US - 2 * SPAN_US, None))
    assert (silent.score, silent.reason) == (0, "silent")
    ahead = judge_health(Observed(NOW_US, [], 0, NOW_US + 300 * SECOND_US, None))
    assert (ahead.score, ahead.reason) == (None, "too_few_readings")
    once = judge_health(Observed(NOW_US, [minutes_of(np.array([NOW_US - 5]))], 0, NOW_US - 5, None))
    assert (once.score, once.reason) == (None, "too_few_readings")
    kept = judge_health(replace(perfect(10 * SECOND_US), in_maintenance=True))
    assert (kept.score, kept.reason) == (100, "maintenance")


def test_each_part_costs_its_weight() -> None:
    """Silent for half of the span; as many dead letters as values; a delay half-way to hopeless."""
    half = regular(60 * SECOND_US, 0)
    half = half[: len(half) // 2]
    observed = Observed(NOW_US, [minutes_of(half)], 0, int(half[-1]), None)
    health = judge_health(observed)
    assert health.uptime is not None
    assert health.completeness is not None
    assert abs(health.uptime.share - 0.5) < 0.01
    assert abs(health.completeness.share - 0.5) < 0.01
    assert health.delay is not None
    assert health.delay.share == 0, "nobody noted when it was last seen, so it is late by half a day"
    assert abs(score(health) - (20 + 15 + 20)) < 1
    dead = replace(perfect(60 * SECOND_US), dead_letters=2 * len(half))
    assert score(judge_health(dead)) == 90
    delay_us = 11 * ALLOWED_DELAY_US // 2
    middle = delay_part(Observed(NOW_US, [], 0, NOW_US - delay_us, NOW_US), 1)
    assert middle.share == 0.5


def test_the_cadence_is_the_median_gap() -> None:
    assert cadence_us(minutes_of(np.array([0, 10, 20, 500, 510, 520]) * SECOND_US)) == 10 * SECOND_US
    assert cadence_us(minutes_of(np.array([0, 3600, 7200, 7300]) * SECOND_US)) == 3600 * SECOND_US
    assert cadence_us(minutes_of(np.array([5]))) is None
