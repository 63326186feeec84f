"""Which devices are silent, and which alerts that makes: the offline detector between two of its turns.

Owns when each device was last heard of and how long it usually pauses. The pause is the longest recent one: a
longer one counts at once, shorter ones draw it down by a thirty-second each.

A device that is silent and others of its gateway (or of its site) that have waited for half their patience
are one finding about the gateway or site, with a count, from `GROUP_LEAST` devices on; of a site only when it
is at least half of the devices that it has, or `MOST_SINGLE`. Else each device is a finding of its own.

Keeps true: who reports again is cleared by the next turn, whatever was told before; what was told before a
restart is not told again. Takes `now` and does no I/O.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.alerts.telling import SECONDS
from kilowatch.alerts.voices import Severity
from kilowatch.clock import MICROSECONDS
from kilowatch.rules.detectors.offline import (
    GROUP_LEAST,
    NO_GATEWAY,
    find_silent,
    group_silent,
    patience_us,
)

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_SINGLE = 1_000
"""So many silent devices of a site are told of as the site, however many it has: nobody reads a thousand
alerts."""
DRAWN_DOWN = 32
NOTED_US = 10 * MICROSECONDS
BURST_US = MICROSECONDS
"""Readings that come closer together than this say nothing about pauses."""


@dataclass(frozen=True, slots=True)
class Roll:
    """The devices that are listened for, in columns by device number; number 0 is nobody.

    is_watched: whether silence matters; gateway: the number of the gateway, the device's own where others
    report through it, 0 for none; site: place in `sites`; least_us: the shortest patience."""

    is_watched: Mask
    gateway: Ints
    site: Ints
    least_us: Ints
    sites: Sequence[tuple[uuid.UUID, uuid.UUID, Severity]]
    """(organisation, site, severity of silence there)."""

    @classmethod
    def empty(cls) -> "Roll":
        """Nobody."""
        none = np.zeros(1, np.int64)
        return cls(np.zeros(1, np.bool_), none, none, none, ())

    def __len__(self) -> int:
        return len(self.is_watched)


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a key: about how many devices, silent since when."""

    devices: int
    since_us: int


@dataclass(slots=True)
class Silence:
    """What is known of who reports."""

    started_us: int
    roll: Roll = field(default_factory=Roll.empty)
    last_seen_us: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    pause_us: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    _silent: Mask = field(default_factory=lambda: np.zeros(1, np.bool_))
    _told: dict[Key, Told] = field(default_factory=dict)
    _silent_since_us: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    """When those that are silent were last heard of; until they are again they stay so."""
    _members: Mask = field(default_factory=lambda: np.zeros(1, np.bool_))
    _is_settled: bool = False
    """Whether what was told follows from what is silent; not so after a new roll or a restart."""

    def call(self, roll: Roll, last_seen_us: Ints, pause_us: Ints) -> None:
        """Takes a new roll, and what PostgreSQL knows of its devices (0: nothing), as far as they were not
        heard here."""
        more = max(len(roll) - len(self.last_seen_us), 0)
        self.roll, self._is_settled = roll, False
        self._silent = np.append(self._silent, np.zeros(more, np.bool_))
        self._members = np.append(self._members, np.zeros(more, np.bool_))
        self._silent_since_us = np.append(self._silent_since_us, np.zeros(more, np.int64))
        for mine, known in (("last_seen_us", last_seen_us), ("pause_us", pause_us)):
            column = np.append(getattr(self, mine), np.zeros(more, np.int64))
            heard = column[: len(known)]
            column[: len(known)] = np.where(heard > 0, heard, known)
            setattr(self, mine, column)

    def restore(self, living: Sequence[LivingAlert], now_us: int) -> None:
        """Takes over the alerts that were told of before a restart; to be called after the first roll."""
        quiet = (self.last_seen_us > 0) & (now_us - self.last_seen_us > self._patience())
        places: dict[uuid.UUID | None, int] = {
            site_id: place for place, (_, site_id, _) in enumerate(self.roll.sites)
        }
        width = len(self.roll)
        for alert in living:
            key = alert.key
            if key.device_no is not None:
                about = np.arange(width) == key.device_no
                about |= self.roll.gateway == key.device_no
            else:
                about = self.roll.site == places.get(key.site_id, -1)
            # Of the device itself nothing was heard since; when it was last, is noted every few seconds only.
            unheard = (np.arange(width) == key.device_no) & (self.last_seen_us[:width] > 0)
            unheard &= self.last_seen_us[:width] <= alert.since_us + NOTED_US
            members = ((about & quiet[:width]) | unheard) & self.roll.is_watched
            own = key.device_no is not None and key.device_no < width
            if members.any() or (own and self.last_seen_us[key.device_no] > 0):
                self._silent[:width] |= members
                self._silent_since_us[:width][members] = self.last_seen_us[:width][members]
                self._told[key] = Told(max(int(members.sum()), 1), alert.since_us)
        self._is_settled = False

    def hear(self, device: npt.NDArray[np.int32], at_us: int) -> None:
        """These devices reported; numbers may repeat, and those that are not on the roll are let pass."""
        device = device[(device > 0) & (device < len(self.last_seen_us))]
        before, pause = self.last_seen_us[device], self.pause_us[device]
        gap = at_us - before
        drawn = np.maximum(gap, pause + (gap - pause) // DRAWN_DOWN)
        # What lies before our start may be a pause of our own.
        counts = (before > 0) & (before >= self.started_us) & (gap >= BURST_US)
        self.pause_us[device] = np.where(counts, drawn, pause)
        self.last_seen_us[device] = np.maximum(before, at_us)

    def listen(self, now_us: int) -> None:
        """Goes on after a pause of our own: silence, and what devices pause, count from now."""
        self.started_us = max(self.started_us, now_us)

    def turn(self, now_us: int) -> tuple[list[Finding], list[Clearing]]:
        """What has changed by now."""
        width = len(self.roll)
        seen, patience = self.last_seen_us[:width], self._patience()[:width]
        known = self.roll.is_watched & (seen > 0)
        lasts = self._silent[:width] & (seen <= self._silent_since_us[:width])
        silent = known & (find_silent(seen, patience, now_us, self.started_us) | lasts)
        if not silent.any() and not self._told:
            return [], []
        since = np.maximum(seen, self.started_us)
        waits = known & (silent | (now_us - since > patience // 2))
        group = self._groups(known, waits, silent)
        concerned = np.isin(group, group[silent & (group != NO_GATEWAY)])
        members = silent | (waits & concerned)
        before = self._silent[:width], self._members[:width]
        if self._is_settled and np.array_equal(silent, before[0]) and np.array_equal(members, before[1]):
            return [], []
        self._silent[:width], self._members[:width], self._is_settled = silent, members, True
        self._silent_since_us[:width] = seen
        wanted: dict[Key, Told] = {}
        severities: dict[Key, Severity] = {}
        for some in group_silent(np.flatnonzero(members), group):
            if len(some) > 1 or silent[some[0]]:
                key = self._key(some, group)
                wanted[key] = Told(len(some), int(seen[some].min()))
                severities[key] = self.roll.sites[self.roll.site[some[0]]][2]
        return self._differ(wanted, severities, now_us)

    def _patience(self) -> Ints:
        least = np.zeros(len(self.last_seen_us), np.int64)
        least[: len(self.roll)] = self.roll.least_us
        return patience_us(self.pause_us, least)

    def _groups(self, known: Mask, waits: Mask, silent: Mask) -> Ints:
        """For each device what it would be silent with: its gateway, or as a negative number its site."""
        sites = len(self.roll.sites)
        all_of = np.bincount(self.roll.site[known], minlength=sites)
        waiting = np.bincount(self.roll.site[waits], minlength=sites)
        is_whole = (2 * waiting >= all_of) & (waiting >= GROUP_LEAST)
        is_whole |= np.bincount(self.roll.site[silent], minlength=sites) >= MOST_SINGLE
        of_site = np.where(is_whole[self.roll.site], -1 - self.roll.site, NO_GATEWAY) if sites else 0
        return np.where(self.roll.gateway != NO_GATEWAY, self.roll.gateway, of_site)

    def _key(self, members: Ints, group: Ints) -> Key:
        first = int(members[0])
        organisation_id, site_id, _ = self.roll.sites[self.roll.site[first]]
        if len(members) == 1:
            return Key(organisation_id, "offline", first)
        shared = int(group[first])
        if shared > 0:
            return Key(organisation_id, "offline", shared)
        return Key(organisation_id, "offline", site_id=site_id)

    def _differ(
        self, wanted: dict[Key, Told], severities: dict[Key, Severity], now_us: int
    ) -> tuple[list[Finding], list[Clearing]]:
        findings = []
        for key, told in wanted.items():
            before = self._told.get(key)
            if before is None or before.devices != told.devices:
                since_us = told.since_us if before is None else before.since_us
                wanted[key] = Told(told.devices, since_us)
                findings.append(self._finding(key, wanted[key], severities[key], now_us))
            else:
                wanted[key] = before
        clearings = [Clearing(key, now_us) for key in self._told if key not in wanted]
        self._told = wanted
        return findings, clearings

    def _finding(self, key: Key, told: Told, severity: Severity, now_us: int) -> Finding:
        device, limit_s = key.device_no, None
        # The gateway may be watched by another worker, which knows its patience.
        if device is not None and device < len(self.roll) and self.roll.is_watched[device]:
            limit_s = float(self._patience()[device]) / MICROSECONDS
        quiet_s = (now_us - told.since_us) / MICROSECONDS
        return Finding(key, severity, told.since_us, now_us, SECONDS, quiet_s, limit_s, devices=told.devices)
