"""Exactly once per series and time: which values are new, which repeat what is stored, which contradict it.

Pure. Keeps true that the outcome does not depend on how readings are cut into batches: the first value that
the log brought for a (series, time) is kept, the same value again is a repeat, another value is a conflict
(or, where the sender asked for it, a replacement).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

# (series_no, ts_us) of unique pairs -> the same pairs that are stored, with their values.
FindStored = Callable[[Int32s, Int64s], tuple[Int32s, Int64s, Floats]]
# (device_no, series_no, ts_us) of unique pairs -> whether values of that time may have been forgotten.
FindLost = Callable[[Int32s, Int32s, Int64s], Mask]

NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class Readings:
    """Readings in columns, sorted by (device, ts_us); `arrival` is each row's place in the log's order.

    columns: metric slot -> values, NaN where a reading lacks the metric;
    series: metric slot -> series numbers.
    `twins` marks rows that share device and time with a neighbour.
    """

    device: Int32s
    ts_us: Int64s
    key: Int32s
    arrival: Rows
    twins: Mask
    columns: dict[int, Floats]
    series: dict[int, Int32s] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.device)


@dataclass(slots=True)
class Contested:
    """Values that needed a look: one entry each, all arrays of equal length.

    row: position in the sorted readings; slot: metric slot; value: what was sent; stored: what stands there
    (NaN where nothing did); verdict: one of the codes below.
    """

    row: Rows
    slot: Int32s
    value: Floats
    stored: Floats
    verdict: npt.NDArray[np.int8]


ACCEPTED, REPEAT, CONFLICT, REPLACED, TOO_OLD = range(5)


def sort_readings(device: Int32s, ts_us: Int64s, key: Int32s, columns: dict[int, Floats]) -> Readings:
    """The readings ordered by device and time; equal ones stay in the order in which they came."""
    count = len(device)
    order, twins = time_order(device, ts_us)
    if order is None:
        return Readings(device, ts_us, key, np.arange(count), twins, dict(columns))
    return Readings(
        device[order],
        ts_us[order],
        key[order],
        order,
        twins,
        {slot: column[order] for slot, column in columns.items()},
    )


def time_order(device: Int32s, ts_us: Int64s) -> tuple[Rows | None, Mask]:
    """The stable order by (device, ts_us), None when it stands already, and which sorted rows have a twin."""
    count = len(device)
    lowest = int(ts_us.min()) if count else 0
    span = int(ts_us.max()) - lowest + 1 if count else 1
    if count and (int(device.max()) + 1) * span >= 1 << 62:
        order = np.lexsort((ts_us, device))
        same = (device[order][1:] == device[order][:-1]) & (ts_us[order][1:] == ts_us[order][:-1])
        return order, twin_mask(same, count)
    place = device.astype(np.int64) * span + (ts_us - lowest)
    if count < 2 or bool((place[1:] > place[:-1]).all()):
        return None, np.zeros(count, np.bool_)
    order = np.argsort(place)
    ordered = place[order]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        order = np.argsort(place, kind="stable")
    return order, twin_mask(same, count)


def twin_mask(same_as_next: Mask, count: int) -> Mask:
    """Marks both rows of every equal neighbouring pair."""
    twins = np.zeros(count, np.bool_)
    twins[1:] |= same_as_next
    twins[:-1] |= same_as_next
    return twins


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the past: the newest stored time per series number, the time per device number from
    which on samples are certainly still kept, and look-ups of stored values and, for what is older, of where
    values may be gone."""

    newest_us: Int64s
    kept_from_us: Int64s
    find_stored: FindStored
    find_lost: FindLost


def judge(readings: Readings, known: Known, *, replace: bool) -> Contested:
    """Leaves in `readings.columns` only the values to store (others become NaN) and says what became of those
    that were not plainly new.

    A value newer than its series' newest and without a twin is new without asking anyone; the rest are
    compared with what is stored. A value that is not newer and lies where samples may have been forgotten
    already cannot be told from a repeat: it is too old.
    """
    rows: list[Rows] = []
    slots: list[Int32s] = []
    for slot, column in readings.columns.items():
        doubtful = (readings.ts_us <= known.newest_us[readings.series[slot]]) | readings.twins
        if doubtful.any():
            doubtful &= ~np.isnan(column)
            found = np.flatnonzero(doubtful)
            rows.append(found)
            slots.append(np.full(len(found), slot, np.int32))
    if not rows or not sum(len(found) for found in rows):
        return no_contest()
    contested = settle_contested(readings, np.concatenate(rows), np.concatenate(slots), known, replace)
    strike_out(readings, contested)
    return contested


def no_contest() -> Contested:
    """No doubtful value."""
    nothing = np.empty(0, np.intp)
    return Contested(nothing, np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0, np.int8))


def settle_contested(readings: Readings, row: Rows, slot: Int32s, known: Known, replace: bool) -> Contested:
    """Compares each doubtful value with the stored one, or else with the first of its kind in this batch."""
    value = np.empty(len(row))
    series = np.empty(len(row), np.int32)
    for one in np.unique(slot):
        here = slot == one
        value[here] = readings.columns[int(one)][row[here]]
        series[here] = readings.series[int(one)][row[here]]
    order = np.lexsort((readings.arrival[row], readings.ts_us[row], series))
    row, slot, value, series = row[order], slot[order], value[order], series[order]
    ts_us = readings.ts_us[row]
    starts = np.ones(len(row), np.bool_)
    starts[1:] = (series[1:] != series[:-1]) | (ts_us[1:] != ts_us[:-1])
    group = np.cumsum(starts) - 1
    stored = stored_values(series[starts], ts_us[starts], known.find_stored)[group]
    is_known = ~np.isnan(stored)
    device = readings.device[row]
    old = (ts_us <= known.newest_us[series]) & (ts_us < known.kept_from_us[device])
    asked = np.flatnonzero(starts & old & (~is_known | replace))
    lost = np.zeros(len(row), np.bool_)
    if len(asked):
        lost[asked] = known.find_lost(device[asked], series[asked], ts_us[asked])
        lost = lost[starts][group]
    if replace:
        verdict = verdicts_replacing(value, stored, starts)
        verdict[lost] = TOO_OLD
        return Contested(row, slot, value, stored, verdict)
    first = value[starts][group]
    reference = np.where(is_known, stored, first)
    verdict = np.where(value == reference, REPEAT, CONFLICT).astype(np.int8)
    verdict[starts & ~is_known] = ACCEPTED
    verdict[lost] = TOO_OLD
    return Contested(row, slot, value, np.where(is_known, stored, reference), verdict)


def verdicts_replacing(value: Floats, stored: Floats, starts: Mask) -> npt.NDArray[np.int8]:
    """Where senders asked to replace, the last value of a (series, time) wins; earlier ones are repeats."""
    last = np.ones(len(value), np.bool_)
    last[:-1] = starts[1:]
    verdict = np.full(len(value), REPEAT, np.int8)
    verdict[last & np.isnan(stored)] = ACCEPTED
    verdict[last & ~np.isnan(stored) & (value != stored)] = REPLACED
    return verdict


def stored_values(series: Int32s, ts_us: Int64s, find_stored: FindStored) -> Floats:
    """The stored value of each unique pair (sorted by series and time), NaN where there is none."""
    found_series, found_ts, found_value = find_stored(series, ts_us)
    values = np.full(len(series), np.nan)
    if len(found_series) == 0:
        return values
    all_series = np.concatenate([series, found_series])
    all_ts = np.concatenate([ts_us, found_ts])
    order = np.lexsort((all_ts, all_series))
    both = (all_series[order][1:] == all_series[order][:-1]) & (all_ts[order][1:] == all_ts[order][:-1])
    pairs = np.sort(np.stack([order[:-1][both], order[1:][both]]), axis=0)
    values[pairs[0]] = found_value[pairs[1] - len(series)]
    return values


def strike_out(readings: Readings, contested: Contested) -> None:
    """Sets the values that are not to be stored to NaN."""
    gone = np.isin(contested.verdict, (REPEAT, CONFLICT, TOO_OLD))
    for slot in np.unique(contested.slot[gone]):
        column = readings.columns[int(slot)].copy()
        column[contested.row[gone & (contested.slot == slot)]] = np.nan
        readings.columns[int(slot)] = column
