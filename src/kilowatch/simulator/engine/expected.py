"""What values were to be expected, learnt from the values alone, and how far they strayed from it. Pure.

Keeps true: what happens for less than half of the time leaves no trace in what is expected; levels, spreads
and profiles are medians.

The value of an interval is expected to be the level of its local day times the profile of its time of day,
one for days of work and one for weekends, times that of its weekday and part of the day, for a Monday's
morning still answers the weekend. The level of a day is the running median over nine days, so seasons and
growth are followed and events of up to four days are not.
"""

from dataclasses import dataclass

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Int64s, Mask
from kilowatch.simulator.engine.moments import Moments, calendar

AROUND = 4
"""Days on either side of a day that its level is taken from."""
PARTS = 6
"""Parts of a day for which each weekday has a level of its own."""
LEAST_DAYS = 21
"""Of fewer days, weekdays are not told apart: one event would be taken for what is usual."""
DOUBT = 2.0
"""Standard errors by which a weekday must differ to be told apart."""
BINS = 6
"""Ranges of what is expected, in each of which the spread is measured."""
NORMAL = 1.4826
"""Median absolute deviations to standard deviations of normally spread numbers."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Shapes (streams, count). value: what was to be expected; spread: the standard deviation around it."""

    value: Floats
    spread: Floats


class Onlooker:
    """Learns from the values of streams, of shape (streams, count) with count above 0, on a grid in a zone;
    the level of a day only from what is not `aside`, of the same shape.

    What it learnt is where it begins the next time."""

    def __init__(self, moments: Moments, value: Floats, zone: str, aside: Mask | None = None) -> None:
        self.value = value
        self.aside = aside
        shown = calendar(moments, zone)
        slots = max(round(1.0 / moments.days), 1)
        self.day = shown.day - shown.day[0]
        self.slot = (shown.hour / 24.0 * slots).astype(np.int64) + slots * shown.weekend
        self.slots = 2 * slots
        self.part = shown.weekday * PARTS + (shown.hour / 24.0 * PARTS).astype(np.int64)
        self.level = np.ones((len(value), int(self.day[-1]) + 1))
        self.weekly = np.ones((len(value), 7 * PARTS))

    def learn(self, factor: Floats, rounds: int = 1) -> Expected:
        """What was to be expected where what is known of besides comes to these factors."""
        plain = self.value / factor
        profile = np.zeros((len(plain), self.slots))
        for _ in range(rounds):
            weekly = self.weekly[:, self.part]
            profile = medians(ratio_to(plain, self.level[:, self.day] * weekly), self.slot, self.slots)
            self.level = self._levels(ratio_to(plain, profile[:, self.slot] * weekly))
            if self.level.shape[1] >= LEAST_DAYS:
                usual = self.level[:, self.day] * profile[:, self.slot]
                self.weekly = _beyond_chance(ratio_to(plain, usual), self.part)
        expected = self.level[:, self.day] * profile[:, self.slot] * self.weekly[:, self.part] * factor
        return Expected(expected, _spreads(expected, self.value))

    def _levels(self, ratio: Floats) -> Floats:
        """The level of each day. Where nothing is known of a day or of those around it, that of the next day
        before it, or else after it, of which something is."""
        days = self.level.shape[1]
        found = _running(medians(ratio, self.day, days))
        if self.aside is None:
            return found
        for row in np.flatnonzero(self.aside.any(axis=1)):
            kept = ~self.aside[row]
            daily = medians(ratio[row : row + 1, kept], self.day[kept], days)[0]
            known = np.flatnonzero(np.bincount(self.day[kept], minlength=days))
            level = _running(daily[None, known])[0]
            places = np.maximum(np.searchsorted(known, np.arange(days), "right") - 1, 0)
            found[row] = level[places]
        return found


def ratio_to(value: Floats, expected: Floats) -> Floats:
    """Value per what is expected; NaN where nothing is."""
    return np.divide(value, expected, out=np.full_like(value, np.nan), where=expected > 0.0)


def medians(value: Floats, group: Int64s, groups: int) -> Floats:
    """The median of each row in each group, of what is known; 0 where nothing is. Shape (streams, groups)."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=groups)
    found = np.zeros((len(value), groups))
    begin = 0
    for number, size in enumerate(sizes.tolist()):
        rows = value[:, order[begin : begin + size]]
        begin += size
        if size == 0:
            continue
        known = ~np.isnan(rows)
        if known.all():
            found[:, number] = np.median(rows, axis=1)
        else:
            ordered = np.sort(rows, axis=1)  # what is not known comes last
            count = known.sum(axis=1)
            low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, np.maximum(count - 1, 0))
            place = np.arange(len(rows))
            middle = (ordered[place, low] + ordered[place, high]) / 2.0
            found[:, number] = np.where(count > 0, np.nan_to_num(middle), 0.0)
    return found


def _beyond_chance(ratio: Floats, part: Int64s) -> Floats:
    """By which factor each part of the week differs, brought nearer to 1 by some standard errors."""
    known = np.where(np.isnan(ratio), 1.0, ratio)
    sizes = np.bincount(part, minlength=7 * PARTS)
    off = np.where(sizes > 0, medians(known, part, 7 * PARTS) - 1.0, 0.0)
    spread = NORMAL * np.median(np.abs(known - 1.0), axis=1)
    error = np.sqrt(np.pi / 2.0) * spread[:, None] / np.sqrt(np.maximum(sizes, 1))
    found: Floats = 1.0 + np.copysign(np.maximum(np.abs(off) - DOUBT * error, 0.0), off)
    return found


def _running(daily: Floats) -> Floats:
    """The median of each day and those around it, of fewer at the ends."""
    count = daily.shape[1]
    found = np.empty_like(daily)
    for place in range(count):
        found[:, place] = np.median(daily[:, max(place - AROUND, 0) : place + AROUND + 1], axis=1)
    return found


def _spreads(expected: Floats, value: Floats) -> Floats:
    """The standard deviation as it goes with what is expected, in each stream."""
    off = np.abs(value - expected)
    found = np.empty_like(expected)
    for row in range(len(value)):
        order = np.argsort(expected[row], kind="stable")
        bins = np.array_split(order, min(BINS, max(len(order) // 20, 1)))
        centres = np.array([np.median(expected[row, places]) for places in bins])
        spreads = np.array([_spread(off[row, places]) for places in bins])
        found[row] = np.interp(expected[row], centres, spreads)
    return np.maximum(found, 1e-9)


def _spread(off: Floats) -> float:
    """From absolute deviations; of whole numbers that are mostly as expected, from all but the largest."""
    of_median = NORMAL * float(np.median(off))
    if of_median > 0.0:
        return of_median
    least = np.sort(off)[: max(int(0.95 * len(off)), 1)]
    return float(np.sqrt(np.mean(least**2)))
