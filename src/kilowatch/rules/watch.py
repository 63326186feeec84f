"""Watches: conditions on series, evaluated over whole frames. Pure.

A watch is one rule on one series. Its value breaches when it stands on the wrong side of the limit, is well
again when it stands on the right side of the clear limit, and stays what it was in between. It is raised once
a breach has lasted `for_us`, not sooner than `cooldown_us` after the raise before, and cleared when it is
well.

Keeps true: how samples are cut into frames changes nothing; a sample that is not newer than the newest seen
of its series changes nothing; a value that swings inside the two limits raises once and clears once. No loop
runs per sample; a frame takes as many turns as its most restless watch is raised in it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

Operator = Literal[">", ">=", "<", "<=", "=", "!="]
OPERATORS: tuple[Operator, ...] = (">", ">=", "<", "<=", "=", "!=")
NEVER_US = np.iinfo(np.int64).min // 2
"""A time before all others, from which a cooldown is long over."""


@dataclass(frozen=True, slots=True)
class Watches:
    """Conditions, sorted by series; columns of one length. Limits are in the series' own units."""

    series: npt.NDArray[np.int32]
    operator: npt.NDArray[np.int8]
    """Place in `OPERATORS`."""
    limit: Floats
    clear: Floats
    """Where a breach is over; the limit itself where there is no hysteresis."""
    for_us: Ints
    cooldown_us: Ints

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class States:
    """How each watch stands; columns as long as the watches, changed by `evaluate`."""

    seen_us: Ints
    """The newest sample that was looked at."""
    since_us: Ints
    """When the present breach began; NEVER_US while all is well."""
    raised_us: Ints
    """The last raise; NEVER_US before the first."""
    is_raised: Mask
    """Whether the present breach was raised."""

    @classmethod
    def of(cls, count: int) -> "States":
        """The states of watches that have seen nothing."""
        never = np.full(count, NEVER_US)
        return cls(never.copy(), never.copy(), never, np.zeros(count, np.bool_))


@dataclass(frozen=True, slots=True)
class Changes:
    """What a frame changed, sorted by watch and time; columns of one length."""

    watch: Ints
    """Place among the watches."""
    is_raise: Mask
    """True for a raise, False for a clearing."""
    ts_us: Ints
    value: Floats
    since_us: Ints
    """When the breach began."""

    def __len__(self) -> int:
        return len(self.watch)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Every new sample with every watch on its series, sorted by watch and time."""

    watch: Ints
    """Place among the watches."""
    ts_us: Ints
    value: Floats
    start: Ints
    """For each pair the first one of its watch."""

    def __len__(self) -> int:
        return len(self.watch)


def evaluate(
    watches: Watches, states: States, series: npt.NDArray[np.int32], ts_us: Ints, value: Floats
) -> Changes:
    """Looks at samples, sorted by series and time and without NaN, and takes them into `states`."""
    pairs = _pair(watches, states, series, ts_us, value)
    if len(pairs) == 0:
        return _no_changes()
    marks = _mark(watches, pairs)
    last = np.append(np.flatnonzero(np.diff(pairs.watch)), len(pairs) - 1)
    states.seen_us[pairs.watch[last]] = pairs.ts_us[last]
    stirred = np.zeros(len(watches), np.bool_)
    stirred[pairs.watch[marks > 0]] = True
    stirred |= states.since_us != NEVER_US
    concerned = stirred[pairs.watch]
    if not concerned.any():
        return _no_changes()
    return _follow(watches, states, _take(pairs, concerned), marks[concerned])


def _no_changes() -> Changes:
    none = np.empty(0, np.int64)
    return Changes(none, np.empty(0, np.bool_), none, np.empty(0, np.float64), none)


def _pair(
    watches: Watches, states: States, series: npt.NDArray[np.int32], ts_us: Ints, value: Floats
) -> _Pairs:
    """Pairs each watch with the samples of its series that are newer than what it has seen."""
    present, first = np.unique(series, return_index=True)
    ends = np.append(first[1:], len(series))
    low = np.searchsorted(watches.series, present, "left")
    high = np.searchsorted(watches.series, present, "right")
    of_series = np.repeat(np.arange(len(present)), high - low)
    watch = _ranges(low, high - low)
    counts = (ends - first)[of_series]
    sample = _ranges(first[of_series], counts)
    place = np.repeat(watch, counts)
    new = ts_us[sample] > states.seen_us[place]
    place, sample = place[new], sample[new]
    return _Pairs(place, ts_us[sample], value[sample], _starts(place))


def _ranges(first: Ints, counts: Ints) -> Ints:
    """All of first, first + 1, ... (counts of them), one after the other."""
    total = int(counts.sum())
    before = np.cumsum(counts) - counts
    return np.arange(total) - np.repeat(before, counts) + np.repeat(first, counts)


def _starts(group: Ints) -> Ints:
    """For each place the first place of its group; groups stand together."""
    fresh = np.append(True, group[1:] != group[:-1]) if len(group) else np.empty(0, np.bool_)
    return np.maximum.accumulate(np.where(fresh, np.arange(len(group)), 0))


def _take(pairs: _Pairs, rows: Mask) -> _Pairs:
    watch = pairs.watch[rows]
    return _Pairs(watch, pairs.ts_us[rows], pairs.value[rows], _starts(watch))


def _mark(watches: Watches, pairs: _Pairs) -> npt.NDArray[np.int8]:
    """1 where the value breaches, -1 where it is well, 0 where it stands between the limits."""
    operator = watches.operator[pairs.watch]
    limit, clear, value = watches.limit[pairs.watch], watches.clear[pairs.watch], pairs.value
    breaches = np.select(
        [operator == place for place in range(len(OPERATORS))],
        [value > limit, value >= limit, value < limit, value <= limit, value == limit, value != limit],
        default=False,
    )
    # With a clear limit of its own a breach of > or >= ends at or below it, one of < or <= at or above it.
    apart = clear != limit
    well = np.where(operator < 2, value <= clear, value >= clear)
    well = np.where(apart & (operator < 4), well, ~breaches)
    marks: npt.NDArray[np.int8] = breaches.astype(np.int8) - (well & ~breaches).astype(np.int8)
    return marks


def _follow(watches: Watches, states: States, pairs: _Pairs, marks: npt.NDArray[np.int8]) -> Changes:
    """Follows each watch from its state through its samples."""
    count = len(pairs)
    places = np.arange(count)
    was_in = states.since_us[pairs.watch] != NEVER_US
    told = np.maximum.accumulate(np.where(marks != 0, places, -1))
    is_in = np.where(told >= pairs.start, marks[told] > 0, was_in)
    is_first = places == pairs.start
    before = np.where(is_first, was_in, np.append(False, is_in[:-1]))
    begins = is_in & ~before
    run = np.maximum.accumulate(np.where(begins | is_first, places, 0))
    since_us = np.where(begins[run], pairs.ts_us[run], states.since_us[pairs.watch])
    mature = is_in & (pairs.ts_us - since_us >= watches.for_us[pairs.watch])
    raised = _raise(watches, states, pairs, run, begins, mature)
    was_raised = states.is_raised[pairs.watch] & ~begins[run]
    run_raised = np.zeros(count, np.bool_)
    run_raised[run[raised]] = True
    run_raised = run_raised[run] | was_raised
    ends = before & ~is_in
    # The run that ends is that of the sample before, or the one that the state carried over.
    ended_raised = np.where(is_first, states.is_raised[pairs.watch], np.append(False, run_raised[:-1]))
    ended_since = np.where(is_first, states.since_us[pairs.watch], np.append(0, since_us[:-1]))
    changed = np.zeros(count, np.bool_)
    changed[raised] = True
    cleared = ends & ended_raised
    rows = np.flatnonzero(changed | cleared)
    changes = Changes(
        pairs.watch[rows],
        changed[rows],
        pairs.ts_us[rows],
        pairs.value[rows],
        np.where(changed[rows], since_us[rows], ended_since[rows]),
    )
    last = np.append(np.flatnonzero(np.diff(pairs.watch)), count - 1)
    states.since_us[pairs.watch[last]] = np.where(is_in[last], since_us[last], NEVER_US)
    states.is_raised[pairs.watch[last]] = is_in[last] & run_raised[last]
    return changes


def _raise(watches: Watches, states: States, pairs: _Pairs, run: Ints, begins: Mask, mature: Mask) -> Ints:
    """The places at which watches are raised: in each run at most once, at its first mature sample at which
    the cooldown is over. Writes the last one of each watch into the states."""
    ripe = np.flatnonzero(mature & ~(states.is_raised[pairs.watch] & ~begins[run]))
    if len(ripe) == 0:
        return ripe
    moments = np.unique(pairs.ts_us)
    width = len(moments) + 1
    _, group = np.unique(pairs.watch, return_inverse=True)
    key = group * width + np.searchsorted(moments, pairs.ts_us)
    next_run = np.append(np.flatnonzero(np.diff(run)) + 1, len(run))
    run_end = next_run[np.searchsorted(next_run, np.arange(len(run)), "right")]
    firsts = ripe[np.unique(group[ripe], return_index=True)[1]]
    at = firsts
    raised = []
    while len(at):
        watch = pairs.watch[at]
        allowed_us = states.raised_us[watch] + watches.cooldown_us[watch]
        earliest = np.searchsorted(key, group[at] * width + np.searchsorted(moments, allowed_us))
        place = np.searchsorted(ripe, np.maximum(at, earliest))
        found = place < len(ripe)
        at, place = at[found], place[found]
        hit = ripe[place]
        same = pairs.watch[hit] == pairs.watch[at]
        hit = hit[same]
        raised.append(hit)
        states.raised_us[pairs.watch[hit]] = pairs.ts_us[hit]
        after = run_end[hit]
        inside = after < len(run)
        hit, after = hit[inside], after[inside]
        at = after[pairs.watch[after] == pairs.watch[hit]]
    return np.sort(np.concatenate(raised))
