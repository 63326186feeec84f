"""The rules as the worker evaluates them: watches in columns, and the way from a frame's column to them.

Keeps true: a watch is one rule on one device, so it is told apart by these two; a book that is made while the
one before is in use takes over how every watch of both stands, at one moment.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.clock import MICROSECONDS
from kilowatch.rules.derive import Derivation, Samples
from kilowatch.rules.rule import ENERGY_INPUTS, INPUTS, Input
from kilowatch.rules.watch import NEVER_US, Changes, States, Watches, evaluate
from kilowatch.worker.no_data import NoData
from kilowatch.worker.watch_rows import (
    SCALES,
    WATCH,
    Hashes,
    WatchRows,
    find_hashes,
    halves_of,
    hash_of,
    hash_watches,
)

Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

CONDITION: Final = ("operator", "limit", "clear", "for_s", "cooldown_s")
TABLE_PLACES: Final = 16
"""Up to so many places per device a table finds the series faster than a search does."""


@dataclass(frozen=True, slots=True)
class Path:
    """From device numbers to series numbers, for one metric."""

    low: int
    device: Int32s
    series: Int32s
    """One for each of `device`; or, where that is empty, by device number from `low` on, 0 for none."""

    @classmethod
    def of(cls, device: Int32s, series: Int32s) -> "Path":
        """The way for these pairs, of which each device has one."""
        device, first = np.unique(device, return_index=True)
        series, low = series[first], int(device[0])
        width = int(device[-1]) - low + 1
        if width > TABLE_PLACES * len(device):
            return cls(low, device, series)
        table = np.zeros(width, np.int32)
        table[device - low] = series
        return cls(low, device[:0], table)

    def find(self, device: Int32s) -> Int32s:
        """The series of each device, 0 where it has none that is watched."""
        if len(self.device):
            at = np.minimum(np.searchsorted(self.device, device), len(self.device) - 1)
            return np.where(self.device[at] == device, self.series[at], 0)
        at = device.astype(np.int64) - self.low
        inside = (at >= 0) & (at < len(self.series))
        return np.where(inside, self.series[np.where(inside, at, 0)], 0)


@dataclass(slots=True)
class Group:
    """The watches of one input; columns of one length, sorted by series."""

    input: Input
    rows: WatchRows
    watches: Watches
    states: States
    derivation: Derivation
    hashes: Hashes
    """Sorted; `order` says whose they are."""
    order: Ints
    is_looked_at: Mask
    """By series number."""

    @classmethod
    def of(cls, which: Input, rows: WatchRows, highest: int) -> "Group":
        """The watches in these rows, which have seen nothing."""
        rows = rows[np.argsort(rows["series"], kind="stable")]
        series, first = np.unique(rows["series"], return_index=True)
        watches = Watches(
            rows["series"].copy(),
            rows["operator"].copy(),
            rows["limit"].copy(),
            rows["clear"].copy(),
            rows["for_s"] * np.int64(MICROSECONDS),
            rows["cooldown_s"] * np.int64(MICROSECONDS),
        )
        derivation = Derivation(which, series, rows["kind"][first], SCALES[rows["unit"][first]])
        hashes = hash_watches(rows)
        order = np.argsort(hashes)
        is_looked_at = np.zeros(highest + 1, np.bool_)
        is_looked_at[series] = True
        states = States.of(len(rows))
        return cls(which, rows, watches, states, derivation, hashes[order], order, is_looked_at)

    def look(self, samples: Samples) -> Changes:
        """What these readings change; those of other series are passed over."""
        mine = self.is_looked_at[samples.series]
        values = self.derivation.add(samples if mine.all() else samples.take(mine))
        return evaluate(self.watches, self.states, values.series, values.ts_us, values.value)


@dataclass(frozen=True, slots=True)
class Link:
    """Which watches of a group stand in the book before, and under unchanged conditions."""

    before: Group
    mine: Ints
    theirs: Ints
    is_same: Mask


@dataclass(slots=True)
class Book:
    """Every watch. Made in a thread; `take_over` is called where the book before is in use."""

    rows: WatchRows
    names: dict[int, str]
    groups: dict[Input, Group] = field(default_factory=dict)
    silence: NoData = field(default_factory=lambda: NoData.of(np.empty(0, WATCH)))
    paths: dict[int, Path] = field(default_factory=dict)
    _links: dict[Input, Link] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: WatchRows, names: dict[int, str], before: "Book | None" = None) -> "Book":
        """The book of these watches, ready to take over how the watches of the one before stand."""
        book = cls(rows, names)
        highest = int(rows["series"].max(initial=0))
        for place, which in enumerate(INPUTS):
            mine = rows[rows["input"] == place]
            if which in ENERGY_INPUTS:
                mine = mine[mine["unit"] > 0]
            if which == "no_data":
                book.silence = NoData.of(mine)
            elif len(mine):
                book.groups[which] = Group.of(which, mine, highest)
        for metric in np.unique(rows["metric"][rows["series"] > 0]).tolist():
            of_metric = rows[rows["metric"] == metric]
            book.paths[metric] = Path.of(of_metric["device"], of_metric["series"])
        if before is not None:
            book._links = {
                which: _link(group, before.groups[which])
                for which, group in book.groups.items()
                if which in before.groups
            }
        return book

    def __len__(self) -> int:
        return len(self.rows)

    def take_over(self, before: "Book", newest_us: Ints, now_us: int) -> list[tuple[WatchRows, Ints]]:
        """Goes on from how the watches of the book before stand; new ones look at what is newer than the
        newest stored. Returns watches that were raised and are not there any more, and since when."""
        gone = []
        for which, old in before.groups.items():
            link = self._links.get(which)
            left = old.states.is_raised.copy()
            if link is not None:
                left[link.theirs] = False
            gone.append((old.rows[left], old.states.since_us[left]))
        for which, group in self.groups.items():
            group.states.seen_us[:] = known_us(newest_us, group.watches.series)
            if which in self._links:
                _take_states(group, self._links[which])
        gone.append(self.silence.take_over(before.silence, now_us))
        self._links = {}
        return [(rows, since_us) for rows, since_us in gone if len(rows)]

    def remember(self, newest: Samples) -> None:
        """Shows the newest stored value of each series to the watches that were there when it came, as known:
        what breaches now was told of."""
        for which, group in self.groups.items():
            group.derivation.add(newest.take(group.is_looked_at[newest.series]))
            if which == "value":
                seen_us = group.states.seen_us.copy()
                at = np.minimum(np.searchsorted(newest.series, group.watches.series), len(newest) - 1)
                is_known = group.rows["updated_us"] <= newest.ts_us[at]
                group.states.seen_us[:] = np.where(is_known, NEVER_US, np.iinfo(np.int64).max)
                evaluate(group.watches, group.states, newest.series, newest.ts_us, newest.value)
                group.states.seen_us[:] = seen_us

    def restore(self, living: Sequence[LivingAlert]) -> list[bool]:
        """Takes what was found before as raised; whether each one's watch is there."""
        if not living:
            return []
        wanted = _hashes_of(living)
        since_us = np.array([one.since_us for one in living], np.int64)
        ts_us = np.array([one.ts_us for one in living], np.int64)
        found = np.zeros(len(living), np.bool_)
        for group in self.groups.values():
            at = find_hashes(group.hashes, group.order, wanted)
            there = at >= 0
            mine, states = at[there], group.states
            states.is_raised[mine] = True
            states.since_us[mine], states.raised_us[mine] = since_us[there], ts_us[there]
            states.seen_us[mine] = np.maximum(states.seen_us[mine], ts_us[there])
            found |= there
        at = find_hashes(self.silence.hashes, self.silence.order, wanted)
        there = at >= 0
        self.silence.restore(at[there], since_us[there], ts_us[there])
        answer: list[bool] = (found | there).tolist()
        return answer

    def rest(self, over: Sequence[LivingAlert]) -> None:
        """Takes over when alerts that are over were raised, from which cooldowns count."""
        if not over:
            return
        wanted, ts_us = _hashes_of(over), np.array([one.ts_us for one in over], np.int64)
        for one in self.groups.values():
            _note_raises(one.states.raised_us, find_hashes(one.hashes, one.order, wanted), ts_us)
        mute = self.silence
        _note_raises(mute.raised_us, find_hashes(mute.hashes, mute.order, wanted), ts_us)

    def dismiss(self, ended: Sequence[LivingAlert]) -> None:
        """Takes what somebody ended by hand as told, where its value was beyond the limit when last stored;
        to be called after `remember`."""
        group = self.groups.get("value")
        if not ended or group is None:
            return
        at = find_hashes(group.hashes, group.order, _hashes_of(ended))
        at = at[at >= 0]
        lasts = at[group.states.since_us[at] != NEVER_US]
        group.states.is_raised[lasts] = True


def _note_raises(raised_us: Ints, places: Ints, ts_us: Ints) -> None:
    there = places >= 0
    raised_us[places[there]] = np.maximum(raised_us[places[there]], ts_us[there])


def _hashes_of(alerts: Sequence[LivingAlert]) -> Hashes:
    high, low = halves_of([one.key.rule_id or uuid.UUID(int=0) for one in alerts])
    return hash_of(high, low, np.array([one.key.device_no or 0 for one in alerts], np.int32))


def known_us(newest_us: Ints, series: Int32s) -> Ints:
    """The newest stored time of each series, NEVER_US where nothing is stored."""
    if not len(newest_us):
        return np.full(len(series), NEVER_US)
    inside = series < len(newest_us)
    return np.maximum(np.where(inside, newest_us[np.where(inside, series, 0)], NEVER_US), NEVER_US)


def _link(group: Group, before: Group) -> Link:
    theirs = np.empty(len(group.rows), np.int64)
    theirs[group.order] = find_hashes(before.hashes, before.order, group.hashes)
    mine = np.flatnonzero(theirs >= 0)
    theirs = theirs[mine]
    # A device that was made anew under the same rule has other series.
    stays = before.rows["series"][theirs] == group.rows["series"][mine]
    mine, theirs = mine[stays], theirs[stays]
    is_same = np.ones(len(mine), np.bool_)
    for name in CONDITION:
        is_same &= group.rows[name][mine] == before.rows[name][theirs]
    return Link(before, mine, theirs, is_same)


def _take_states(group: Group, link: Link) -> None:
    """A breach that was raised stays raised under a new condition, and is then judged by it; one that was
    not begins anew."""
    mine, old = link.mine, link.before.states
    group.states.seen_us[mine] = old.seen_us[link.theirs]
    group.states.raised_us[mine] = old.raised_us[link.theirs]
    is_raised = old.is_raised[link.theirs]
    group.states.is_raised[mine] = is_raised
    group.states.since_us[mine] = np.where(link.is_same | is_raised, old.since_us[link.theirs], NEVER_US)
    group.derivation.keep_memory_of(link.before.derivation)
