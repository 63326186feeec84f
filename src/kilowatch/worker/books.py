"""Energy, booked as readings arrive: what new readings change in each device's canonical energy.

Keeps, per device, the last readings of its source metric; keeps true that what is booked over time sums to
what all readings together say, late and repeated ones included. Where the memory does not reach (a late
reading, a fresh start), the readings around are fetched from the lake.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.telemetry.energy import CONTEXT, Delta, energy_delta
from kilowatch.telemetry.step import Kind, Source
from kilowatch.worker.registry import KINDS, Registry
from kilowatch.worker.repeats import NEVER, Readings

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

# (series_no, from_us, to_us, before, after) -> (series_no, ts_us, value) sorted by series and time.
FindAround = Callable[[Int32s, Int64s, Int64s, int, int], tuple[Int32s, Int64s, Floats]]

DEPTH = max(CONTEXT.values())
METERED_GAP_US = 36 * 3600 * 1_000_000
"""Meters that count energy may be read once a day, and somewhat late; only power needs a closer look."""


def run_starts(device: Int32s) -> Rows:
    """Where each run of equal device numbers begins."""
    return np.flatnonzero(np.append(True, device[1:] != device[:-1]))


@dataclass(slots=True)
class Points:
    """Readings of source metrics: device, time, value; sorted by device and time."""

    device: Int32s
    ts_us: Int64s
    value: Floats

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: Rows | Mask) -> "Points":
        """The chosen rows."""
        return Points(self.device[rows], self.ts_us[rows], self.value[rows])

    @classmethod
    def merged(cls, older: "Points", newer: "Points") -> "Points":
        """Both, sorted by device and time; where both have a moment, the newer one's value."""
        joined = cls(
            np.concatenate([older.device, newer.device]),
            np.concatenate([older.ts_us, newer.ts_us]),
            np.concatenate([older.value, newer.value]),
        )
        rank = np.concatenate([np.zeros(len(older), np.int8), np.ones(len(newer), np.int8)])
        joined = joined.take(np.lexsort((rank, joined.ts_us, joined.device)))
        overtaken = np.zeros(len(joined), np.bool_)
        overtaken[:-1] = (joined.device[1:] == joined.device[:-1]) & (joined.ts_us[1:] == joined.ts_us[:-1])
        return joined.take(~overtaken)


class Books:
    """The memory that energy needs between batches."""

    def __init__(self, registry: Registry, gap_max_us: int, find_around: FindAround) -> None:
        self._registry = registry
        self._gap_max_us = {"gauge": gap_max_us, "counter": METERED_GAP_US, "interval": METERED_GAP_US}
        self._find_around = find_around
        self._ts_us = np.full((1, DEPTH), NEVER, np.int64)
        self._value = np.full((1, DEPTH), np.nan)
        self._filled = np.zeros(1, np.bool_)

    def book(self, readings: Readings, newest_us: Int64s) -> list[Delta]:
        """The changes that the accepted values of `readings` make.

        newest_us: newest stored time per series number, before these readings.
        """
        registry = self._registry
        self._grow(len(registry.known))
        deltas = []
        slot_of_row = registry.source_slot[readings.device]
        for slot, column in readings.columns.items():
            chosen = (slot_of_row == slot) & ~np.isnan(column)
            if not chosen.any():
                continue
            points = Points(readings.device, readings.ts_us, column)
            if not chosen.all():
                points = points.take(chosen)
            kinds = registry.source_kind[points.device]
            for number in range(int(kinds.min()), int(kinds.max()) + 1):
                of_kind = kinds == number
                mine = points if of_kind.all() else points.take(of_kind)
                if len(mine):
                    deltas.extend(self._book_kind(KINDS[number], slot, mine, newest_us))
        return deltas

    def _book_kind(self, kind: Kind, slot: int, points: Points, newest_us: Int64s) -> list[Delta]:
        starts = run_starts(points.device)
        device = points.device[starts]
        newest = newest_us[self._registry.series[slot][device]]
        in_order = (points.ts_us[starts] > newest) & (self._filled[device] | (newest == NEVER))
        if in_order.all():
            return [self._book_in_order(kind, points, starts)]
        row_in_order = np.repeat(in_order, np.diff(starts, append=len(points)))
        late = self._book_late(kind, slot, points.take(~row_in_order))
        if not in_order.any():
            return [late]
        orderly = points.take(row_in_order)
        return [late, self._book_in_order(kind, orderly, run_starts(orderly.device))]

    def _book_in_order(self, kind: Kind, points: Points, starts: Rows) -> Delta:
        """Readings that all follow what is remembered of their devices."""
        device = points.device[starts]
        before, counts = self._remembered(device, CONTEXT[kind])
        after = points
        if len(before):
            place = np.repeat(starts, counts)
            after = Points(
                np.insert(points.device, place, before.device),
                np.insert(points.ts_us, place, before.ts_us),
                np.insert(points.value, place, before.value),
            )
        self._remember(after, CONTEXT[kind])
        self._filled[device] = True
        return self._delta(kind, before, after)

    def _book_late(self, kind: Kind, slot: int, points: Points) -> Delta:
        """Readings among stored ones, or of devices not remembered: the lake knows what is around them."""
        starts = run_starts(points.device)
        ends = np.append(starts[1:], len(points)) - 1
        device = points.device[starts]
        series = self._registry.series[slot][device]
        context = CONTEXT[kind]
        found_series, ts_us, value = self._find_around(
            series, points.ts_us[starts], points.ts_us[ends], DEPTH, context
        )
        order = np.argsort(series)
        before = Points(device[order][np.searchsorted(series[order], found_series)], ts_us, value)
        before = before.take(np.lexsort((before.ts_us, before.device)))
        after = Points.merged(before, points)
        # With fewer than `context` readings after the new ones, the window holds the device's last ones.
        where = np.searchsorted(device, before.device)
        following = np.bincount(where[before.ts_us > points.ts_us[ends][where]], minlength=len(device))
        at_end = following < context
        tail = after.take(at_end[np.searchsorted(device, after.device)])
        if len(tail):
            self._remember(tail, context)
            self._filled[device[at_end]] = True
        return self._delta(kind, before, after)

    def _delta(self, kind: Kind, before: Points, after: Points) -> Delta:
        return energy_delta(kind, self._source(before), self._source(after), self._gap_max_us[kind])

    def _source(self, points: Points) -> Source:
        scale = self._registry.source_scale[points.device]
        is_plain = len(scale) == 0 or bool((scale == 1.0).all())
        return Source(
            points.device,
            points.ts_us,
            points.value,
            1.0 if is_plain else scale,
            self._registry.limit_w[points.device],
        )

    def _remembered(self, device: Int32s, depth: int) -> tuple[Points, Int64s]:
        """The last `depth` readings of each device, as far as there are, and how many of each."""
        ts_us = self._ts_us[device, DEPTH - depth :]
        there = ts_us != NEVER
        counts = there.sum(axis=1)
        value = self._value[device, DEPTH - depth :]
        return Points(np.repeat(device, counts), ts_us[there], value[there]), counts

    def _remember(self, points: Points, depth: int) -> None:
        """Keeps the last `depth` readings of each device in `points`, which hold that many if there are."""
        starts = run_starts(points.device)
        ends = np.append(starts[1:], len(points))
        device = points.device[starts]
        for back in range(1, depth + 1):
            row = ends - back
            there = row >= starts
            at = np.where(there, row, 0)
            self._ts_us[device, -back] = np.where(there, points.ts_us[at], NEVER)
            self._value[device, -back] = np.where(there, points.value[at], np.nan)

    def _grow(self, size: int) -> None:
        more = size - len(self._filled)
        if more <= 0:
            return
        self._ts_us = np.concatenate([self._ts_us, np.full((more, DEPTH), NEVER, np.int64)])
        self._value = np.concatenate([self._value, np.full((more, DEPTH), np.nan)])
        self._filled = np.concatenate([self._filled, np.zeros(more, np.bool_)])
