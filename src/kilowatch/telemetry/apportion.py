"""Steps of energy laid over fixed UTC buckets, and the sums per device and bucket.

Keeps true: the pieces of a step sum to the step exactly, each micro-watt-hour lies in exactly one bucket, and
the pieces are a function of the step alone, so that what was booked can be taken back to the last unit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kilowatch.telemetry.step import Bools, Columns, Floats, Int32s, Int64s, Steps

QUARTER_HOUR_US: Final = 900_000_000
MOST_PIECES: Final = 366 * 96
"""A step over more buckets than this (a year of quarter-hours) books into every n-th bucket only, so that no
single step makes more pieces: memory is at most 28 bytes x MOST_PIECES, about 1 MB, per long step."""

_EXACT: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class Pieces(Columns):
    """Energy of devices in buckets; as a change of what is stored, energy and cover may be negative."""

    device: Int32s
    bucket_us: Int64s
    """Start of the bucket."""
    energy_uwh: Int64s
    covered_us: Int64s
    """Time of the bucket that steps cover."""

    def __len__(self) -> int:
        return len(self.device)

    def negative(self) -> "Pieces":
        """The same with the other sign."""
        return Pieces(self.device, self.bucket_us, -self.energy_uwh, -self.covered_us)


def split_steps(steps: Steps, bucket_us: int = QUARTER_HOUR_US) -> Pieces:
    """The pieces of every step, linear in time; those of steps inside one bucket first, then the others'."""
    within, crossing = _sort_out(steps, bucket_us)
    if not len(crossing):
        return within
    return Pieces.concat([within, _cut(crossing, bucket_us)])


def bucket_energy(steps: Steps, bucket_us: int = QUARTER_HOUR_US) -> Pieces:
    """Energy and cover per device and bucket: the same as `sum_pieces(split_steps(...))`, faster.

    The many steps inside one bucket keep the order of the readings, so they are summed without sorting.
    """
    within, crossing = _sort_out(steps, bucket_us)
    if not len(crossing):
        return sum_pieces(within)
    return sum_pieces(Pieces.concat([sum_pieces(within), _cut(crossing, bucket_us)]))


def sum_pieces(pieces: Pieces) -> Pieces:
    """One row per device and bucket, sorted by both."""
    if not len(pieces):
        return pieces
    device, bucket = pieces.device, pieces.bucket_us
    changes = (device[1:] != device[:-1]) | (bucket[1:] != bucket[:-1])
    if _out_of_order(device, bucket):
        order = np.lexsort((bucket, device))
        pieces = pieces.take(order)
        device, bucket = pieces.device, pieces.bucket_us
        changes = (device[1:] != device[:-1]) | (bucket[1:] != bucket[:-1])
    first = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return Pieces(
        device[first],
        bucket[first],
        np.add.reduceat(pieces.energy_uwh, first),
        np.add.reduceat(pieces.covered_us, first),
    )


def _out_of_order(device: Int32s, bucket: Int64s) -> bool:
    down = device[1:] < device[:-1]
    back = (bucket[1:] < bucket[:-1]) & (device[1:] == device[:-1])
    return bool(np.any(down) or np.any(back))


def _sort_out(steps: Steps, bucket_us: int) -> tuple[Pieces, Steps]:
    """The steps inside one bucket as pieces, and the others."""
    first = steps.start_us // bucket_us * bucket_us
    inside: Bools = steps.end_us - first <= bucket_us
    covered = steps.end_us - steps.start_us
    pieces = Pieces(steps.device, first, steps.energy_uwh, covered)
    if inside.all():
        return pieces, steps.take(slice(0))
    return pieces.take(inside), steps.take(~inside)


def _cut(steps: Steps, bucket_us: int) -> Pieces:
    """Pieces of steps over several buckets.

    Each cut books the rounded share of the energy up to it, less what the earlier cuts booked: rounding never
    adds up, and the last cut books exactly the rest.
    """
    first = steps.start_us // bucket_us
    buckets = (steps.end_us - 1) // bucket_us - first + 1
    stride = -(-buckets // MOST_PIECES)
    count = -(-buckets // stride)
    row = np.repeat(np.arange(len(steps)), count)
    ends = np.cumsum(count)
    number = np.arange(len(row)) - np.repeat(ends - count, count)
    bucket = (first[row] + number * stride[row]) * bucket_us
    start, end = steps.start_us[row], steps.end_us[row]
    until = np.minimum(bucket + bucket_us * stride[row], end)
    booked = _share(steps.energy_uwh[row], (until - start) / (end - start))
    energy = np.diff(booked, prepend=0)
    opening = ends - count
    energy[opening] = booked[opening]
    covered = np.minimum(bucket + bucket_us, end) - np.maximum(bucket, start)
    return Pieces(steps.device[row], bucket, energy, covered)


def _share(energy: Int64s, part: Floats) -> Int64s:
    share = np.rint(energy * part).astype(np.int64)
    if np.abs(energy).max() < _EXACT:
        return share
    # A double may round a huge energy up, and the whole must stay the whole.
    share = np.where(energy < 0, np.maximum(share, energy), np.minimum(share, energy))
    return np.where(part >= 1.0, energy, share)
