"""No-data rules: who has not been heard of for how long, by the worker's own clock.

Keeps true: a watch is raised at the moment at which its silence has lasted `for_s`, and cleared once anything
comes, whatever time the reading bears; silence counts from when we began to listen, and a pause of our own
is nobody's silence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS
from kilowatch.rules.watch import NEVER_US
from kilowatch.worker.watch_rows import Hashes, WatchRows, find_hashes, hash_watches

Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Turn:
    """What has changed: watches by their place, sorted."""

    raised: Ints
    cleared: Ints

    def __len__(self) -> int:
        return len(self.raised) + len(self.cleared)


@dataclass(slots=True)
class Silence:
    """Watches on silence; columns of one length.

    heard_us: when something last came, or we began to listen; since_us: since when it is silent, while it
    is raised; raised_us: the last raise, NEVER_US before the first.
    """

    rows: WatchRows
    heard_us: Ints
    is_raised: Mask
    since_us: Ints
    raised_us: Ints
    hashes: Hashes
    """Sorted; `order` says whose they are."""
    order: Ints
    _by_series: tuple[Int32s, Ints]
    _by_device: tuple[Int32s, Ints]

    @classmethod
    def of(cls, rows: WatchRows) -> "Silence":
        """The watches in these rows; call `listen` before they are looked at."""
        count = len(rows)
        never = np.full(count, NEVER_US)
        of_series = np.flatnonzero(rows["series"] > 0)
        of_device = np.flatnonzero(rows["series"] == 0)
        by_series = of_series[np.argsort(rows["series"][of_series], kind="stable")]
        hashes = hash_watches(rows)
        order = np.argsort(hashes)
        by_device = of_device[np.argsort(rows["device"][of_device], kind="stable")]
        return cls(
            rows,
            never,
            np.zeros(count, np.bool_),
            never.copy(),
            never.copy(),
            hashes[order],
            order,
            (rows["series"][by_series], by_series),
            (rows["device"][by_device], by_device),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def wants_devices(self) -> bool:
        """Whether some watch is on a device as a whole."""
        return len(self._by_device[0]) > 0

    def listen(self, now_us: int) -> None:
        """Begins to listen, or goes on after a pause of our own: silence counts from now."""
        self.heard_us[:] = np.where(self.is_raised, self.heard_us, np.maximum(self.heard_us, now_us))

    def hear_series(self, series: Int32s, at_us: int) -> None:
        """Something came of these series; numbers may repeat."""
        self._hear(self._by_series, series, at_us)

    def hear_devices(self, device: Int32s, at_us: int) -> None:
        """Something came of these devices; numbers may repeat."""
        self._hear(self._by_device, device, at_us)

    def turn(self, now_us: int) -> Turn:
        """What has changed until now, which is taken over."""
        for_us = self.rows["for_s"] * np.int64(MICROSECONDS)
        allowed_us = self.raised_us + self.rows["cooldown_s"] * np.int64(MICROSECONDS)
        cleared = np.flatnonzero(self.is_raised & (self.heard_us > self.since_us))
        self.is_raised[cleared] = False
        silent = (now_us - self.heard_us > for_us) & (now_us >= allowed_us)
        raised = np.flatnonzero(silent & ~self.is_raised)
        self.is_raised[raised] = True
        self.since_us[raised] = self.heard_us[raised]
        self.raised_us[raised] = np.maximum(self.heard_us + for_us, allowed_us)[raised]
        return Turn(raised, cleared)

    def restore(self, places: Ints, since_us: Ints, raised_us: Ints) -> None:
        """Takes these watches as raised."""
        self.is_raised[places] = True
        self.heard_us[places] = self.since_us[places] = since_us
        self.raised_us[places] = raised_us

    def take_over(self, before: "Silence", now_us: int) -> tuple[WatchRows, Ints]:
        """Goes on from how the watches before stand; returns those that were raised and are gone."""
        theirs = np.empty(len(self), np.int64)
        theirs[self.order] = find_hashes(before.hashes, before.order, self.hashes)
        mine = np.flatnonzero(theirs >= 0)
        theirs = theirs[mine]
        stays = before.rows["series"][theirs] == self.rows["series"][mine]
        mine, theirs = mine[stays], theirs[stays]
        for name in ("heard_us", "is_raised", "since_us", "raised_us"):
            getattr(self, name)[mine] = getattr(before, name)[theirs]
        left = before.is_raised.copy()
        left[theirs] = False
        fresh = self.heard_us == NEVER_US
        self.heard_us[fresh] = now_us
        return before.rows[left], before.since_us[left]

    def _hear(self, index: tuple[Int32s, Ints], numbers: Int32s, at_us: int) -> None:
        known, place = index
        if not len(known) or not len(numbers):
            return
        numbers = np.unique(numbers)
        low = np.searchsorted(known, numbers, "left")
        high = np.searchsorted(known, numbers, "right")
        heard = np.zeros(len(known) + 1, np.int64)
        np.add.at(heard, low, 1)
        np.add.at(heard, high, -1)
        mine = place[np.cumsum(heard[:-1]) > 0]
        self.heard_us[mine] = np.maximum(self.heard_us[mine], at_us)
