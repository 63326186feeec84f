"""What is usual for each stream, learnt from its values alone. Pure.

Keeps true: nothing but values and times is used, so the statistics of a history say what an onlooker could
say. Hours and days are local; standard deviations are of the population.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.period import DAY_US
from kilowatch.simulator.engine.chance import Floats, Int64s
from kilowatch.simulator.engine.moments import Calendar, Moments, calendar
from kilowatch.simulator.engine.usual import MONTH_US

QUANTILES = (25.0, 50.0, 75.0, 90.0, 95.0)
STRONG, CLEAR = 0.6, 0.3
"""From which strength on a pattern is called strong, or clear; below it there is none."""


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """Of one stream, in its unit per interval. hourly: the mean of each local hour (24; NaN where none was
    seen); trend_per_month: the robust slope relative to the median level; daily, weekly: how strong these
    patterns are, 0 to 1; seasonality: their name."""

    name: str
    mean: float
    median: float
    std_dev: float
    least: float
    most: float
    percentiles: dict[str, float]
    weekday_mean: float
    weekend_mean: float
    hourly: tuple[float, ...]
    trend_per_month: float
    daily: float
    weekly: float
    seasonality: str


def statistics(
    names: Sequence[str], moments: Moments, value: Floats, zone: str
) -> dict[str, StreamStatistics]:
    """The statistics of each stream; `value` has the shape (streams, count) with count above 0."""
    shown = calendar(moments, zone)
    percentiles = np.percentile(value, QUANTILES, axis=1)
    hour = shown.hour.astype(np.int64)
    hourly = _means(value, hour, 24)
    trends = _trends(value, moments, shown)
    daily, weekly = _strengths(value, hour, shown)
    sides = [_mean_of(value[:, shown.weekend == is_weekend]) for is_weekend in (False, True)]
    columns = (value.mean(axis=1), value.std(axis=1), value.min(axis=1), value.max(axis=1))
    return {
        name: StreamStatistics(
            name=name,
            mean=float(columns[0][row]),
            median=float(percentiles[1, row]),
            std_dev=float(columns[1][row]),
            least=float(columns[2][row]),
            most=float(columns[3][row]),
            percentiles={f"p{at:.0f}": float(percentiles[k, row]) for k, at in enumerate(QUANTILES)},
            weekday_mean=float(sides[0][row]),
            weekend_mean=float(sides[1][row]),
            hourly=tuple(hourly[row].tolist()),
            trend_per_month=float(trends[row]),
            daily=float(daily[row]),
            weekly=float(weekly[row]),
            seasonality=_named(float(daily[row]), float(weekly[row])),
        )
        for row, name in enumerate(names)
    }


def _mean_of(value: Floats) -> Floats:
    if value.shape[1] == 0:
        return np.full(len(value), np.nan)
    return np.asarray(value.mean(axis=1))


def _means(value: Floats, group: Int64s, groups: int) -> Floats:
    """The mean of each row in each group; NaN where a group is empty. Shape (streams, groups)."""
    sizes = np.bincount(group, minlength=groups).astype(np.float64)
    totals = np.stack([np.bincount(group, row, groups) for row in value])
    found: Floats = np.divide(totals, sizes, out=np.full_like(totals, np.nan), where=sizes > 0.0)
    return found


def _strengths(value: Floats, hour: Int64s, shown: Calendar) -> tuple[Floats, Floats]:
    """How much of the variance the hours of the day, and the days of the week, explain; 0 to 1.

    1 - Var(rest) / Var(pattern + rest) for each (Wang, Smith and Hyndman 2006, "Characteristic-based
    clustering for time series data"), the weekly one on means of days; adjusted for the number of hours and
    weekdays, which explain a part of pure noise too.
    """
    of_day = value - _means(value, hour, 24)[:, hour]
    daily = _explained(value, of_day, len(np.unique(hour)))
    days = _means(value, shown.day - shown.day[0], int(shown.day[-1] - shown.day[0]) + 1)
    weekday = (np.arange(days.shape[1]) + int(shown.weekday[0])) % 7
    if days.shape[1] < 14:
        return daily, np.zeros(len(value))
    return daily, _explained(days, days - _means(days, weekday, 7)[:, weekday], 7)


def _explained(whole: Floats, rest: Floats, groups: int) -> Floats:
    count = whole.shape[1]
    of_whole, of_rest = whole.var(axis=1) * max(count - groups, 0), rest.var(axis=1) * (count - 1)
    part = np.divide(of_rest, of_whole, out=np.ones_like(of_rest), where=of_whole > 1e-18)
    found: Floats = np.clip(1.0 - part, 0.0, 1.0)
    return found


def _named(daily: float, weekly: float) -> str:
    found = [
        f"{'strong' if strength >= STRONG else 'clear'} {name}"
        for name, strength in (("daily", daily), ("weekly", weekly))
        if strength >= CLEAR
    ]
    return ", ".join(found) if found else "none"


def _trends(value: Floats, moments: Moments, shown: Calendar) -> Floats:
    """Growth a month relative to the median day: the median slope over pairs of whole days a multiple of a
    week apart, so that the days of the week do not matter (Hirsch, Slack and Smith 1982).

    Of less than two weeks: over all pairs of days, and 0 of less than three days.
    """
    days = _days(value, moments, shown)
    count = days.shape[1]
    if count < 3:
        return np.zeros(len(value))
    level = np.median(days, axis=1)
    first, second = np.triu_indices(count, 1)
    if count >= 14:
        like = (second - first) % 7 == 0
        first, second = first[like], second[like]
    slopes = np.median((days[:, second] - days[:, first]) / (second - first), axis=1)
    return np.divide(slopes * (MONTH_US / DAY_US), level, out=np.zeros_like(level), where=level != 0.0)


def _days(value: Floats, moments: Moments, shown: Calendar) -> Floats:
    """Means of local days that are there in full, or of all where none is. Shape (streams, days)."""
    number = shown.day - shown.day[0]
    sizes = np.bincount(number)
    means = _means(value, number, len(sizes))
    whole = sizes >= min(int(0.95 / moments.days), int(sizes.max()))
    found: Floats = means[:, whole]
    return found
