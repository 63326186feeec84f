"""Old readings: where values may have been stored and forgotten since, so that new ones look like repeats.

Keeps true that a reading from before the raw retention is taken only where it is proven that no value of its
moment was forgotten. Roll-ups of a day outlive samples: where they count as many samples as the lake still
holds, none is gone; and before the first and after the last moment that they know, none ever was.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.clock import MICROSECONDS
from kilowatch.period import Resolution, bucket_ends, local_buckets
from kilowatch.worker.registry import Registry

Int16s = npt.NDArray[np.int16]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Days as (series_no, start_us, end_us) -> those of which samples are gone: series_no, start_us, and the first
# and last moment at which the day ever had one.
FindGaps = Callable[[pa.Table], tuple[Int32s, Int64s, Int64s, Int64s]]

DAY_US = 86_400 * MICROSECONDS
PROOF_MARGIN_US = 3 * DAY_US
"""Roll-ups so much younger than their end are there for certain: those of the whole local day, in whatever
zone it was cut, by a clock that differs."""
NO_DAYS = pa.table(
    {
        "series_no": np.empty(0, np.int32),
        "start_us": np.empty(0, np.int64),
        "end_us": np.empty(0, np.int64),
    }
)


class Proof:
    """What one batch asks about old readings. `relied_on`: the days (series_no, start_us, end_us) that were
    whole when it asked, and have to be so still when the batch is committed."""

    def __init__(self, registry: Registry, find_gaps: FindGaps, now_us: int) -> None:
        self._registry = registry
        self._find_gaps = find_gaps
        self._told_from_us = now_us - registry.daily_days.astype(np.int64) * DAY_US + PROOF_MARGIN_US
        self.relied_on = NO_DAYS

    def find_lost(self, device: Int32s, series: Int32s, ts_us: Int64s) -> Mask:
        """Which of the given moments of series lie where samples may have been forgotten."""
        lost = ts_us < self._told_from_us[device]
        told = np.flatnonzero(~lost)
        if not len(told):
            return lost
        zone, when = self._registry.zone[device[told]], ts_us[told]
        start_us, end_us = bucket_spans(when, zone, self._registry.zones, "1d")
        keys = np.stack([series[told].astype(np.int64), start_us, end_us], axis=1)
        days, day_of = np.unique(keys, axis=0, return_inverse=True)
        day_of = day_of.reshape(-1)
        table = day_table(days)
        first_us, last_us = spread_gaps(days, *self._find_gaps(table))
        lost[told] = (when >= first_us[day_of]) & (when <= last_us[day_of])
        self.relied_on = table.filter(pa.array(first_us > last_us))
        return lost


def day_table(days: Int64s) -> pa.Table:
    """The days as a table for the lake."""
    return pa.table({"series_no": days[:, 0].astype(np.int32), "start_us": days[:, 1], "end_us": days[:, 2]})


def spread_gaps(
    days: Int64s, series: Int32s, start_us: Int64s, first_us: Int64s, last_us: Int64s
) -> tuple[Int64s, Int64s]:
    """For each day (sorted, each once) the first and last moment that a gap reaches; the first lies after the
    last where there is none."""
    none = np.iinfo(np.int64)
    first, last = np.full(len(days), none.max), np.full(len(days), none.min)
    if len(series):
        given = np.stack([series.astype(np.int64), start_us], axis=1)
        _, place = np.unique(np.concatenate([days[:, :2], given]), axis=0, return_inverse=True)
        place = place.reshape(-1)[len(days) :]
        first[place], last[place] = first_us, last_us
    return first, last


def bucket_spans(
    ts_us: Int64s, zone: Int16s, zones: Sequence[str], tier: Resolution
) -> tuple[Int64s, Int64s]:
    """Start and end of the bucket that holds each moment."""
    start, end = np.zeros(len(ts_us), np.int64), np.zeros(len(ts_us), np.int64)
    for one in np.unique(zone):
        here = zone == one
        start[here] = local_buckets(ts_us[here], zones[one], tier)
        end[here] = bucket_ends(start[here], zones[one], tier)
    return start, end
