"""Which events happen by themselves, and when. Pure.

Keeps true: what happens depends on the seed and the local date alone, so a span has the same events alone as
within a longer one.

Days are made in blocks of four weeks. Academic events come on dates that do not depend on the seed: evenly
through their seasons from the first day on, or evenly through the year. Clustered ones come on a few days of
each ten. The rest fill up each day to about as many as the templates say, 2 to 5 where they say between 2 and
5. The red herrings are drawn so that in each block there are as many as the templates say, to one.
"""

import zlib
from dataclasses import replace
from functools import lru_cache

import numpy as np

from kilowatch.period import DAY_US, HOUR_US, offset_periods
from kilowatch.simulator.engine.chance import Floats, Int64s, Mask, even
from kilowatch.simulator.engine.events import Event, event_modifiers, made_from
from kilowatch.simulator.engine.modifiers import Modifier, microseconds
from kilowatch.simulator.engine.moments import Calendar, Moments, calendar_at
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.usual import in_seasons
from kilowatch.simulator.world.format import Template, World

BLOCK = 28
MONTH_DAYS = 365.2425 / 12
LEAST_A_DAY, MOST_A_DAY = 2, 5
STRAY = 1.5
"""By how many events days differ, either way."""
CLUSTER_EVERY, CLUSTER = 10, 3
"""Days from cluster to cluster, and days of a cluster."""
SHUFFLE_DAYS = 3.0
SLOTS = 64
"""Numbers of chance for each day: more than twice the events that it can have."""


def happening(run: Run, start_us: int, end_us: int) -> tuple[Event, ...]:
    """The events that happen by themselves in `[start_us, end_us)`, in order of time."""
    if not run.world.templates or start_us >= end_us:
        return ()
    first, last = ((at_us // DAY_US + side) // BLOCK for at_us, side in ((start_us, -1), (end_us, 1)))
    found = [event for block in range(first, last + 1) for event in _block(run, block)]
    return tuple(event for event in found if start_us <= event.at_us < end_us)


def background(run: Run, moments: Moments) -> tuple[Modifier, ...]:
    """The modifiers of all events that happen by themselves and can be felt on a grid."""
    longest_s = max((_felt_s(of) for of in run.world.templates.values()), default=0.0)
    reach_us = microseconds(longest_s) + 2 * run.causes.memory(moments.step_us) * moments.step_us
    events = happening(run, moments.start_us - reach_us, moments.end_us)
    return event_modifiers(events, run.causes.names)


def _felt_s(of: Template) -> float:
    """How long after it happens an event can still be felt."""
    spans = [effect.after + max(effect.lasts or 0.0, of.lasts) for effect in of.effects]
    return of.delay + of.lasts + max(spans, default=0.0)


def _block(run: Run, block: int) -> list[Event]:
    """The events of one block, in order of time."""
    world, days = run.world, block * BLOCK + np.arange(BLOCK, dtype=np.int64)
    shown = calendar_at(days * DAY_US, world.time_zone, is_local=True)
    templates = list(world.templates.items())
    open_on = np.stack([_open(world, of, shown) for _, of in templates])
    fixed = np.stack(
        [_fixed(name, of, open_on[row], world, shown) for row, (name, of) in enumerate(templates)]
    )
    rate = np.array([of.timing.per_month for _, of in templates]) / MONTH_DAYS
    usual = rate[:, None] * open_on
    weights = usual.copy()
    for row, (name, of) in enumerate(templates):
        if of.timing.clustered:
            weights[row] *= _clusters(run.seed, name, days)
    wanted = _wanted(run.seed, days, usual.sum(axis=0), weights.sum(axis=0))
    weights[[row for row, (_, of) in enumerate(templates) if of.type == "academic"]] = 0.0
    found: list[Event] = []
    for place, day in enumerate(days.tolist()):
        chosen = _chosen(run.seed, day, weights[:, place], fixed[:, place], int(wanted[place]))
        found += _events_of_day(run, day, [templates[row] for row in chosen])
    found.sort(key=lambda event: (event.at_us, event.id))
    return _with_red_herrings(run, block, found)


def _open(world: World, of: Template, shown: Calendar) -> Mask:
    """On which days a template can happen at all."""
    if not of.timing.seasons:
        return np.ones(len(shown.day), np.bool_)
    spans = [span for season in of.timing.seasons for span in world.seasons[season]]
    return in_seasons(spans, shown)


def _fixed(name: str, of: Template, is_open: Mask, world: World, shown: Calendar) -> Mask:
    """On which days an academic event happens: every so many days since its season began, or ever."""
    if of.type != "academic" or of.timing.per_month <= 0.0:
        return np.zeros(len(shown.day), np.bool_)
    every = max(MONTH_DAYS / of.timing.per_month, 1.0)
    if of.timing.seasons:
        since = np.array([_days_open(world, of, day) for day in shown.day.tolist()])
    else:
        since = shown.day + zlib.crc32(name.encode()) % 365
    found: Mask = is_open & (np.floor(since / every) != np.floor((since - 1) / every))
    return found


def _days_open(world: World, of: Template, day: int) -> int:
    """How many days before this one the season that it is in began."""
    days = day - np.arange(366, dtype=np.int64)
    spans = [span for season in of.timing.seasons for span in world.seasons[season]]
    closed = ~in_seasons(spans, calendar_at(days * DAY_US, "UTC", is_local=True))
    return int(np.argmax(closed)) - 1 if closed.any() else int(day)


def _clusters(seed: int, name: str, days: Int64s) -> Floats:
    """How much likelier a clustered event is on each day."""
    turn = days // CLUSTER_EVERY
    first = np.floor(even(seed, f"{name} cluster", turn) * (CLUSTER_EVERY - CLUSTER + 1)).astype(np.int64)
    inside = (days % CLUSTER_EVERY >= first) & (days % CLUSTER_EVERY < first + CLUSTER)
    return np.where(inside, CLUSTER_EVERY / CLUSTER, 0.0)


def _wanted(seed: int, days: Int64s, usual: Floats, rate: Floats) -> Int64s:
    """How many events each day has: about `rate`, within the bounds where `usual` is within them."""
    chance = even(seed, "events a day", days)
    near = np.floor(rate + STRAY * (2.0 * chance - 1.0) + 0.5)
    bounded = np.clip(near, LEAST_A_DAY, MOST_A_DAY)
    found = np.where(
        usual < LEAST_A_DAY, np.floor(rate + chance), np.where(usual <= MOST_A_DAY, bounded, near)
    )
    return found.astype(np.int64)


def _chosen(seed: int, day: int, weights: Floats, fixed: Mask, wanted: int) -> list[int]:
    """The templates of a day, each once at most: those that are fixed, and others by their weights."""
    found = np.flatnonzero(fixed).tolist()
    left = weights.copy()
    chance = even(seed, "which event", day * SLOTS + np.arange(SLOTS, dtype=np.int64))
    for number in range(min(wanted - len(found), SLOTS)):
        reached = np.cumsum(left)
        if reached[-1] <= 0.0:
            break
        row = int(np.searchsorted(reached, chance[number] * reached[-1], "right"))
        row = min(row, int(np.flatnonzero(left)[-1]))
        found.append(row)
        left[row] = 0.0
    return [int(row) for row in found]


def _events_of_day(run: Run, day: int, chosen: list[tuple[str, Template]]) -> list[Event]:
    place = day * SLOTS + 2 * np.arange(len(chosen), dtype=np.int64)
    hour = even(run.seed, "hour of event", place)
    minute = even(run.seed, "hour of event", place + 1)
    date = np.datetime64(day, "D")
    found = []
    for number, (name, of) in enumerate(chosen):
        hours = of.timing.hours or list(range(24))
        local_us = day * DAY_US + hours[int(hour[number] * len(hours))] * HOUR_US
        local_us += int(minute[number] * 60) * (HOUR_US // 60)
        at_us = _utc(local_us, run.world.time_zone)
        event_id = f"{date}/{name}"
        found.append(made_from(of, name, at_us, event_id=event_id, origin="world", moves=True))
    return found


@lru_cache(maxsize=65_536)
def _utc(local_us: int, zone: str) -> int:
    """The instant at which a local clock shows a time; of one that it skips, about that much later."""
    guess = local_us - int(offset_periods(zone, local_us, local_us)[1][0])
    return local_us - int(offset_periods(zone, guess, guess)[1][0])


def _with_red_herrings(run: Run, block: int, events: list[Event]) -> list[Event]:
    """The events of a block, of which as many move nothing as is expected of their templates.

    In an order that differs from that of time by a few days, the whole numbers between their summed shares
    are drawn (systematic sampling), so the share is right in any few weeks.
    """
    numbers = block * BLOCK * SLOTS + np.arange(len(events), dtype=np.int64)
    days = np.array([event.at_us / DAY_US for event in events])
    order = np.argsort(days + SHUFFLE_DAYS * even(run.seed, "red herring order", numbers), kind="stable")
    shares = np.array([_share(run.world, events[place]) for place in order])
    begin = float(even(run.seed, "red herring", np.array([block]))[0])
    reached = np.floor(np.concatenate(([0.0], np.cumsum(shares))) + begin)
    found = list(events)
    for place, is_red in zip(order.tolist(), (np.diff(reached) >= 1.0).tolist(), strict=True):
        if is_red:
            found[place] = replace(found[place], moves=False)
    return found


def _share(world: World, event: Event) -> float:
    """How likely an event is to move nothing."""
    return world.templates[str(event.template)].red_herrings if event.effects else 1.0
