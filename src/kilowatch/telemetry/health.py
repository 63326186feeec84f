"""How well a device reports: a score of 0 to 100 over the last 24 hours, and the parts that make it. Pure.

    score = 100 x (0.4 uptime + 0.3 completeness + 0.2 errors + 0.1 delay), each part a share of 0 to 1

- uptime = intervals with a reading / all intervals; an interval is 5 minutes, or twice the cadence if longer;
- completeness = received / expected, summed over the series, none counting for more than it owes; a series
  owes span / cadence readings, its cadence being the median of its gaps;
- errors = 1 - dead letters / (dead letters + stored values);
- delay = 1 up to the allowed delay, falling to 0 at ten times it; the delay is by how much the device's last
  message came after the newest reading that it brought, and a cadence, at least a minute, is allowed.

Keeps true that a device which reports in its own rhythm, in time and without errors, has 100, and that no
part can make up for more than its weight. Works from roll-ups of a minute. A young device is measured from
its first reading on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS

Int64s = npt.NDArray[np.int64]
Reason = Literal["no_data", "silent", "too_few_readings", "maintenance"]

SPAN_US: Final = 24 * 3600 * MICROSECONDS
INTERVAL_US: Final = 300 * MICROSECONDS
MINUTE_US: Final = 60 * MICROSECONDS
ALLOWED_DELAY_US: Final = 60 * MICROSECONDS
HOPELESS: Final = 10
UPTIME, COMPLETENESS, ERRORS, DELAY = 0.4, 0.3, 0.2, 0.1


@dataclass(frozen=True, slots=True)
class Minutes:
    """Roll-ups of a minute of one series, ascending: time of the first and last reading in each, and how
    many there are."""

    first_us: Int64s
    last_us: Int64s
    count: Int64s


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of a device. series: those that have readings in the span; newest_us: of its newest
    reading ever; last_seen_us: when its last message came in, None where nobody noted it."""

    now_us: int
    series: Sequence[Minutes]
    dead_letters: int
    newest_us: int | None
    last_seen_us: int | None
    in_maintenance: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the score: its share of 0 to 1, its weight, and the two numbers that the share is made of."""

    share: float
    weight: float
    achieved: float
    expected: float


@dataclass(frozen=True, slots=True)
class Health:
    """The score, None where nothing can be said, and why it is none, 0 or to be taken with care; cadence_s:
    the shortest of the device's series."""

    score: float | None
    reason: Reason | None
    start_us: int
    cadence_s: float | None = None
    uptime: Part | None = None
    completeness: Part | None = None
    errors: Part | None = None
    delay: Part | None = None


def judge_health(observed: Observed) -> Health:
    """The health of a device."""
    opens_us = (observed.now_us - SPAN_US) // MINUTE_US * MINUTE_US + MINUTE_US
    if observed.newest_us is None:
        return Health(None, "no_data", opens_us)
    if not observed.series:
        if observed.newest_us > observed.now_us:  # its clock is ahead; all that it told is still to come
            return Health(None, "too_few_readings", opens_us)
        return Health(0.0, "silent", opens_us)
    cadences = [cadence_us(minutes) for minutes in observed.series]
    known = [cadence for cadence in cadences if cadence is not None]
    if not known:
        return Health(None, "too_few_readings", opens_us)
    start_us = find_start(observed, opens_us, max(known))
    span_us = observed.now_us - start_us
    cadence = min(known)
    uptime = uptime_part(observed.series, start_us, span_us, cadence)
    pairs = list(zip(observed.series, cadences, strict=True))
    owed = [(int(one.count.sum()), span_us // every) for one, every in pairs if every is not None]
    values = sum(int(one.count.sum()) for one in observed.series)
    parts = (
        uptime,
        completeness_part(owed),
        error_part(observed.dead_letters, values),
        delay_part(observed, cadence),
    )
    reason: Reason | None = "maintenance" if observed.in_maintenance else None
    return Health(score_of(parts), reason, start_us, cadence / MICROSECONDS, *parts)


def score_of(parts: Sequence[Part]) -> float:
    """The parts' shares by their weights, to a tenth."""
    return round(100 * sum(part.weight * part.share for part in parts), 1)


def find_start(observed: Observed, opens_us: int, longest_us: int) -> int:
    """Where the span begins: 24 hours ago, or with the first reading where that came later than a reading was
    due."""
    first_us = min(int(minutes.first_us[0]) for minutes in observed.series)
    return first_us if first_us > opens_us + 2 * longest_us + INTERVAL_US else opens_us


def cadence_us(minutes: Minutes) -> int | None:
    """The median gap between readings, at least a millisecond; None for a single reading. Gaps inside a
    minute count as equal."""
    within = minutes.count - 1
    inner = (minutes.last_us - minutes.first_us) / np.maximum(within, 1)
    outer = minutes.first_us[1:] - minutes.last_us[:-1]
    gaps = np.concatenate([inner, outer.astype(np.float64)])
    weights = np.concatenate([within, np.ones(len(outer), np.int64)])
    if not weights.sum():
        return None
    order = np.argsort(gaps)
    middle = np.searchsorted(np.cumsum(weights[order]), (weights.sum() + 1) // 2)
    return max(int(gaps[order][middle]), 1000)


def uptime_part(series: Sequence[Minutes], start_us: int, span_us: int, cadence: int) -> Part:
    """Intervals with a reading of all intervals; they are equally long and fill the span."""
    count = max(1, span_us // max(INTERVAL_US, 2 * cadence))
    moments = np.concatenate([times for one in series for times in (one.first_us, one.last_us)])
    place = (moments - start_us) * count // max(span_us, 1)
    reported = len(np.unique(np.clip(place, 0, count - 1)))
    return Part(reported / count, UPTIME, reported, count)


def completeness_part(owed: Sequence[tuple[int, int]]) -> Part:
    """Readings received of those expected; given as pairs, one for each series."""
    expected = sum(due for _, due in owed)
    received = sum(min(came, due) for came, due in owed)
    return Part(received / expected if expected else 1.0, COMPLETENESS, received, expected)


def error_part(dead_letters: int, values: int) -> Part:
    """Stored values of all that came."""
    came = dead_letters + values
    return Part(values / came if came else 1.0, ERRORS, values, came)


def delay_part(observed: Observed, cadence: int) -> Part:
    """The delay in seconds, and what is allowed."""
    allowed = max(cadence, ALLOWED_DELAY_US)
    newest_us = observed.newest_us if observed.newest_us is not None else observed.now_us
    seen_us = observed.now_us if observed.last_seen_us is None else observed.last_seen_us
    delay = max(0, seen_us - newest_us)
    share = 1 - (delay - allowed) / ((HOPELESS - 1) * allowed)
    return Part(min(1.0, max(0.0, share)), DELAY, delay / MICROSECONDS, allowed / MICROSECONDS)
