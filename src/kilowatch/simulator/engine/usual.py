"""The usual level of each stream: what it is when nothing happens. Pure.

Keeps true: the level of an interval depends on its time alone. Counts are expected numbers in the interval,
gauges and ratios levels. A stream's `mean` is its mean over a usual week, in no season and at `origin_us`.
"""

import numpy as np

from kilowatch.period import DAY_US, HOUR_US
from kilowatch.simulator.engine.causes import Causes
from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.moments import Calendar, Moments, calendar
from kilowatch.simulator.world.format import Season, Shape, Stream, World

MONTH_US = 365.2425 / 12 * DAY_US
"""The mean month of the Gregorian calendar."""


def usual_levels(causes: Causes, moments: Moments, origin_us: int) -> Floats:
    """The levels that streams have by themselves. Shape (streams, count); 0 for outcomes and ratios.

    `origin_us`: when growth has not begun to count (UTC); before it there is accordingly less.
    """
    parts = -(-moments.step_us // HOUR_US)
    while moments.step_us % parts:
        parts += 1
    fine = moments.finer(parts)
    found = _fine_levels(causes, fine, origin_us)
    if parts == 1:
        return found
    folded = found.reshape(len(causes.names), moments.count, parts)
    total = np.zeros((len(causes.names), moments.count))
    for part in range(parts):
        total += folded[:, :, part]
    counts = np.array([stream.kind == "count" for stream in causes.streams])
    total[~counts] /= parts
    return total


def _fine_levels(causes: Causes, moments: Moments, origin_us: int) -> Floats:
    world, shown = causes.world, calendar(moments, causes.world.time_zone)
    shapes = {name: shape_of(shape, shown) for name, shape in world.shapes.items()}
    seasons = {name: in_seasons(spans, shown) for name, spans in world.seasons.items()}
    months = (moments.ts_us - origin_us) / MONTH_US
    growths: dict[float, Floats] = {}
    found = np.zeros((len(causes.names), moments.count))
    for number, stream in enumerate(causes.streams):
        if stream.mean is None:
            continue
        level = found[number]
        level += stream.mean * (moments.days if stream.kind == "count" else 1.0)
        if stream.shape is not None:
            level *= shapes[stream.shape]
        for season, factor in stream.seasons.items():
            level[seasons[season]] *= factor
        rate = growth_of(stream, world)
        if rate:
            if rate not in growths:
                growths[rate] = np.exp(np.log1p(rate) * months)
            level *= growths[rate]
    return found


def growth_of(stream: Stream, world: World) -> float:
    """By how much a stream grows each month: its own, or of a count that of the world."""
    if stream.growth_per_month is not None:
        return stream.growth_per_month
    return world.growth_per_month if stream.kind == "count" else 0.0


def shape_of(shape: Shape, shown: Calendar) -> Floats:
    """The weight of each interval: from the middle of one hour to the middle of the next in a straight line;
    1 in the mean of a week."""
    on_weekdays = _weights(shape.hours, shown.hour)
    at_weekends = on_weekdays if shape.weekend_hours is None else _weights(shape.weekend_hours, shown.hour)
    week = (5.0 + 2.0 * shape.weekend) / 7.0
    return np.where(shown.weekend, at_weekends * (shape.weekend / week), on_weekdays / week)


def _weights(hours: list[float], at: Floats) -> Floats:
    weights = np.array(hours)
    total = weights.sum()
    weights = weights * (24.0 / total) if total > 0.0 else np.ones(24)
    place = at - 0.5
    before = np.floor(place)
    part = place - before
    hour = before.astype(np.int64) % 24
    low = weights[hour]
    return low + (weights[(hour + 1) % 24] - low) * part


def in_seasons(spans: list[Season], shown: Calendar) -> Mask:
    """Whether each interval lies in one of the seasons, ends inclusive."""
    found = np.zeros(len(shown.hour), np.bool_)
    for span in spans:
        first, last = (int(end.replace("-", "")) for end in (span.first, span.last))
        after, before = shown.month_day >= first, shown.month_day <= last
        found |= (after & before) if first <= last else (after | before)
    return found
