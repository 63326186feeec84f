"""Detectors that look at power as it arrives: phantom load, spike, ghost walk. In columns, frame after frame.

- phantom load: power > idle threshold, while the device has been off or on standby for `grace_s`, or is on
  and says in the same reading that it rests, and so for `for_s`;
- spike: (power - median) / spread > `spreads`, for `for_s`, median and spread being the device's own at this
  local hour; over once it is one spread below that;
- ghost walk: see `rules.detectors.ghost_walk`; over after half an hour of calm.

Keeps true: how samples are cut into frames changes nothing but for walks that a frame brings out of order;
what was told before a restart is not told again and is cleared when it is over. Does no I/O.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.alerts.voices import Kind
from kilowatch.clock import MICROSECONDS
from kilowatch.period import HOUR_US
from kilowatch.rules.detectors.ghost_walk import STIR_W, Stirs, find_walks
from kilowatch.rules.watch import NEVER_US, OPERATORS, Changes, Operator, States, Watches, evaluate
from kilowatch.worker.ground import UNKNOWN, Ground, Profile

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CALM_US = 1800 * MICROSECONDS
REMEMBERED_US = 3600 * MICROSECONDS
Found = tuple[list[Finding], list[Clearing]]


@dataclass(slots=True)
class Lookers:
    """One detector's watches, one a device, and how they stand."""

    kind: Kind
    watches: Watches
    states: States

    @classmethod
    def none(cls, kind: Kind) -> "Lookers":
        """Nobody is watched."""
        return cls(kind, make_watches(np.empty(0, np.int64), ">", 0.0, 0.0, 0), States.of(0))

    def change(self, watches: Watches) -> list[tuple[int, int]]:
        """Takes new watches; those of devices that were watched stand as they stood. The devices that are
        watched no longer and were raised, and since when."""
        states = States.of(len(watches))
        old, new = self.watches.series, watches.series
        place = np.searchsorted(new, old)
        stays = place < len(new)
        stays[stays] = new[place[stays]] == old[stays]
        for name in ("seen_us", "since_us", "raised_us", "is_raised"):
            getattr(states, name)[place[stays]] = getattr(self.states, name)[stays]
        left = ~stays & self.states.is_raised
        gone = list(zip(old[left].tolist(), self.states.since_us[left].tolist(), strict=True))
        self.watches, self.states = watches, states
        return gone

    def restore(self, living: Iterable[LivingAlert]) -> None:
        """Takes over what was told before a restart, and what was ended by hand and may last."""
        for alert in living:
            if alert.key.kind == self.kind and alert.key.device_no is not None:
                place = int(np.searchsorted(self.watches.series, alert.key.device_no))
                if place < len(self.watches) and self.watches.series[place] == alert.key.device_no:
                    self.states.since_us[place] = self.states.raised_us[place] = alert.since_us
                    self.states.is_raised[place] = True
                    self.states.seen_us[place] = max(self.seen_us(alert.key.device_no), alert.since_us)

    def seen_us(self, device: int) -> int:
        """The newest sample of a device that was looked at."""
        place = int(np.searchsorted(self.watches.series, device))
        is_watched = place < len(self.watches) and self.watches.series[place] == device
        return int(self.states.seen_us[place]) if is_watched else NEVER_US

    def look(self, device: Ints, ts_us: Ints, value: Floats) -> Changes:
        """Samples sorted by device and time, without NaN."""
        return evaluate(self.watches, self.states, device.astype(np.int32), ts_us, value)


def over_of(lookers: Lookers, watches: Watches, ground: Ground, now_us: int) -> list[Clearing]:
    """Has lookers take new watches; the ends of what is watched no longer. What is told of a device that is
    deleted goes with it; a device's clock may be ahead of ours."""
    return [
        Clearing(ground.key(lookers.kind, device), max(now_us, since_us))
        for device, since_us in lookers.change(watches)
        if device < len(ground) and ground.known[device]
    ]


def make_watches(
    device: Ints, operator: Operator, limit: Floats | float, clear: Floats | float, for_us: Ints | int
) -> Watches:
    """A watch on each device, in ascending order."""
    count = len(device)
    return Watches(
        device.astype(np.int32),
        np.full(count, OPERATORS.index(operator), np.int8),
        np.broadcast_to(np.asarray(limit, np.float64), count).copy(),
        np.broadcast_to(np.asarray(clear, np.float64), count).copy(),
        np.broadcast_to(np.asarray(for_us, np.int64), count).copy(),
        np.zeros(count, np.int64),
    )


@dataclass(slots=True)
class SampleDetectors:
    """Watches power."""

    ground: Ground = field(default_factory=Ground.empty)
    profile: Profile = field(default_factory=Profile)
    _phantom: Lookers = field(default_factory=lambda: Lookers.none("phantom_load"))
    _spike: Lookers = field(default_factory=lambda: Lookers.none("spike"))
    _last_w: Floats = field(default_factory=lambda: np.full(1, np.nan))
    _last_us: Ints = field(default_factory=lambda: np.full(1, NEVER_US))
    _stirs: dict[Key, Stirs] = field(default_factory=dict)
    _walks: dict[Key, tuple[int, int]] = field(default_factory=dict)

    def change(self, ground: Ground, profile: Profile, now_us: int) -> list[Clearing]:
        """Takes newer facts; what is watched no longer is over."""
        shared = min(len(ground), len(self.ground))
        still = ground.is_off[:shared] & self.ground.is_off[:shared]
        ground.off_since_us[:shared][still] = self.ground.off_since_us[:shared][still]
        self.ground, self.profile = ground, profile
        more = max(len(ground) - len(self._last_w), 0)
        self._last_w = np.append(self._last_w, np.full(more, np.nan))
        self._last_us = np.append(self._last_us, np.full(more, NEVER_US))
        idle = np.flatnonzero(ground.is_on("phantom_load") & ~np.isnan(ground.idle_w))
        for_us = _microseconds(ground.limit("phantom_load", "for_s")[idle])
        phantom = make_watches(idle, ">", ground.idle_w[idle], ground.idle_w[idle], for_us)
        learnt = np.flatnonzero(ground.is_on("spike") & (profile.row[: len(ground)] != UNKNOWN))
        spreads = ground.limit("spike", "spreads")[learnt]
        for_us = _microseconds(ground.limit("spike", "for_s")[learnt])
        spike = make_watches(learnt, ">", spreads, spreads - 1.0, for_us)
        clearings: list[Clearing] = []
        for lookers, watches in ((self._phantom, phantom), (self._spike, spike)):
            clearings += over_of(lookers, watches, ground, now_us)
        return clearings

    def restore(self, living: Sequence[LivingAlert]) -> None:
        """Takes over what was told before a restart; to be called after the first facts."""
        self._phantom.restore(living)
        self._spike.restore(living)
        for alert in living:
            if alert.key.kind == "ghost_walk":
                self._walks[alert.key] = (alert.since_us, alert.since_us)

    def look(self, device: Ints, ts_us: Ints, power_w: Floats, rests: Mask | None = None) -> Found:
        """Samples of power in any order, without NaN; `rests`: with which devices say that they rest."""
        rests = np.zeros(len(device), np.bool_) if rests is None else rests
        known = np.flatnonzero((device > 0) & (device < len(self.ground)))
        order = known[np.lexsort((ts_us[known], device[known]))]
        device, ts_us, power_w, rests = device[order], ts_us[order], power_w[order], rests[order]
        if len(device) == 0:
            return [], []
        told = [
            self._look_for_phantoms(device, ts_us, power_w, rests),
            self._look_for_spikes(device, ts_us, power_w),
            (self._look_for_walks(device, ts_us, power_w), []),
        ]
        return [one for some, _ in told for one in some], [one for _, some in told for one in some]

    def tick(self, now_us: int) -> list[Clearing]:
        """What is over because nothing more came of it."""
        over = [key for key, (_, end_us) in self._walks.items() if now_us - end_us > CALM_US]
        for key in over:
            del self._walks[key]
        return [Clearing(key, now_us) for key in over]

    def switch(self, device: int, is_off: bool, now_us: int) -> list[Clearing]:
        """A device was switched; one that is on has no phantom load."""
        self.ground.switch(device, is_off, now_us)
        if is_off or not 0 < device < len(self.ground):
            return []
        # The device's clock may be ahead of ours, and what is not newer than its readings is not looked at.
        ts_us = max(now_us, self._phantom.seen_us(device) + 1)
        one, well = np.array([device], np.int64), np.array([-np.inf])
        _, clearings = self._found(self._phantom.look(one, np.array([ts_us]), well), self._phantom)
        return clearings

    def _look_for_phantoms(self, device: Ints, ts_us: Ints, power_w: Floats, rests: Mask) -> Found:
        ground = self.ground
        grace_us = _microseconds(ground.limit("phantom_load", "grace_s"))
        is_off = ground.is_off[device]
        idles = np.where(is_off, ts_us > (ground.off_since_us + grace_us)[device], rests)
        # Between being switched off and the end of the grace nothing is said, neither good nor bad.
        settled = idles | ~is_off
        value = np.where(idles, power_w, -np.inf)[settled]
        return self._found(self._phantom.look(device[settled], ts_us[settled], value), self._phantom)

    def _look_for_spikes(self, device: Ints, ts_us: Ints, power_w: Floats) -> Found:
        learnt = self.profile.row[device] != UNKNOWN
        device, ts_us, power_w = device[learnt], ts_us[learnt], power_w[learnt]
        if len(device) == 0:
            return [], []
        median, spread = self._usual(device, ts_us)
        value = (power_w - median) / spread
        known = ~np.isnan(value)
        return self._found(self._spike.look(device[known], ts_us[known], value[known]), self._spike)

    def _usual(self, device: Ints, ts_us: Ints) -> tuple[Floats, Floats]:
        hour = self.ground.local_us(device, ts_us) // HOUR_US
        row = self.profile.row[device]
        return self.profile.median_w[row, hour], self.profile.spread_w[row, hour]

    def _found(self, changes: Changes, lookers: Lookers) -> Found:
        findings: list[Finding] = []
        clearings: list[Clearing] = []
        device = lookers.watches.series[changes.watch].astype(np.int64)
        if len(changes) == 0:
            return findings, clearings
        limit, value, normal = lookers.watches.limit[changes.watch], changes.value, np.zeros(len(changes))
        if lookers.kind == "spike":
            median, spread = self._usual(device, changes.ts_us)
            limit, value, normal = median + limit * spread, median + value * spread, median
        else:
            normal = limit
        for place, number in enumerate(device.tolist()):
            key, ts_us = self.ground.key(lookers.kind, number), int(changes.ts_us[place])
            watts = float(value[place])
            if not changes.is_raise[place]:
                clearings.append(Clearing(key, ts_us, watts))
                continue
            severity = self.ground.severity(lookers.kind, number)
            since_us, excess_w = int(changes.since_us[place]), watts - float(normal[place])
            findings.append(
                Finding(key, severity, since_us, ts_us, "power", watts, float(limit[place]), excess_w)
            )
        return findings, clearings

    # --- walks ---

    def _look_for_walks(self, device: Ints, ts_us: Ints, power_w: Floats) -> list[Finding]:
        """Samples sorted by device and time."""
        first = np.append(True, device[1:] != device[:-1])
        before = np.where(first, self._last_w[device], np.append(np.nan, power_w[:-1]))
        fresh = ts_us > self._last_us[device]
        stirs = fresh & (power_w - before >= STIR_W) & self._sleepers()[device]
        last = np.append(first[1:], True)
        newest = last & fresh
        self._last_w[device[newest]], self._last_us[device[newest]] = power_w[newest], ts_us[newest]
        if not stirs.any():
            return []
        device, ts_us = device[stirs], ts_us[stirs]
        asleep = self._is_asleep(device, ts_us)
        return self._walks_of(device[asleep], ts_us[asleep])

    def _sleepers(self) -> npt.NDArray[np.bool_]:
        homes = np.array([site.kind == "home" for site in self.ground.sites] or [False])
        sleepers: npt.NDArray[np.bool_] = self.ground.is_on("ghost_walk") & homes[self.ground.site]
        return sleepers

    def _is_asleep(self, device: Ints, ts_us: Ints) -> npt.NDArray[np.bool_]:
        hour = self.ground.local_us(device, ts_us) / HOUR_US
        begins = self.ground.limit("ghost_walk", "asleep_from_h")[device]
        ends = self.ground.limit("ghost_walk", "asleep_until_h")[device]
        asleep: npt.NDArray[np.bool_] = np.where(
            begins <= ends, (hour >= begins) & (hour < ends), (hour >= begins) | (hour < ends)
        )
        return asleep

    def _walks_of(self, device: Ints, ts_us: Ints) -> list[Finding]:
        findings = []
        place = self.ground.site[device]
        for number in np.unique(place).tolist():
            site = self.ground.sites[number]
            key = Key(site.organisation_id, "ghost_walk", site_id=site.site_id)
            mine = place == number
            stirs = self._remember(key, device[mine], ts_us[mine])
            for walk in find_walks(stirs, round(site.detectors["ghost_walk"].limits["devices"])):
                told = self._walks.get(key)
                if told is None or walk.start_us > told[1]:
                    findings.append(
                        Finding(
                            key, site.detectors["ghost_walk"].severity, walk.start_us, walk.end_us,
                            devices=len(walk.devices),
                        )
                    )  # fmt: skip
                    self._walks[key] = (walk.start_us, walk.end_us)
                elif walk.end_us > told[1]:
                    self._walks[key] = (told[0], walk.end_us)
        return findings

    def _remember(self, key: Key, device: Ints, ts_us: Ints) -> Stirs:
        room = self.ground.room[device]
        if (kept := self._stirs.get(key)) is not None:
            device, room = np.append(kept.device, device), np.append(kept.room, room)
            ts_us = np.append(kept.ts_us, ts_us)
        recent = ts_us > ts_us.max() - REMEMBERED_US
        order = np.argsort(ts_us[recent], kind="stable")
        stirs = Stirs(device[recent][order], room[recent][order], ts_us[recent][order])
        self._stirs[key] = stirs
        return stirs


def _microseconds(seconds: Floats) -> Ints:
    return (seconds * MICROSECONDS).astype(np.int64)
