"""The newest value of every series, as arrays indexed by device number.

Keeps true: what it holds of a series is the value with the latest time seen, together with the sequence
number of the tick that brought it. So "all that changed since a client's last batch" is one comparison of
arrays, and a client that reads slowly costs no memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilowatch.wire.frame import Frame

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NEVER = np.iinfo(np.int64).min


@dataclass(slots=True)
class Column:
    """One metric of all devices: value, its time, and the tick that brought it."""

    value: Floats
    ts_us: Int64s
    seq: Int64s

    @classmethod
    def empty(cls, size: int) -> "Column":
        """A column that knows nothing yet."""
        return cls(np.full(size, np.nan), np.full(size, NEVER), np.full(size, -1))

    def grow(self, size: int) -> None:
        """Makes room for device numbers below `size`."""
        more = Column.empty(size - len(self.value))
        self.value = np.concatenate([self.value, more.value])
        self.ts_us = np.concatenate([self.ts_us, more.ts_us])
        self.seq = np.concatenate([self.seq, more.seq])


@dataclass(slots=True)
class Newest:
    """The newest values of all series that this process has seen."""

    columns: dict[int, Column] = field(default_factory=dict)
    size: int = 0

    def record(self, frame: Frame, seq: int) -> None:
        """Takes over what is newer in `frame`, whose rows are in time order within each device.

        What was stored before the feed began has `seq` 0 and never replaces a value of the same time.
        """
        if len(frame) == 0:
            return
        self._make_room(int(frame.device.max()) + 1)
        for number, values in frame.metrics.items():
            column = self.columns.get(number)
            if column is None:
                column = self.columns[number] = Column.empty(self.size)
            known = column.ts_us[frame.device]
            newer = ~np.isnan(values) & ((frame.ts_us >= known) if seq else (frame.ts_us > known))
            device = frame.device[newer]
            # Where a device occurs twice, NumPy keeps the last assignment, which is the newest row.
            column.value[device] = values[newer]
            column.ts_us[device] = frame.ts_us[newer]
            column.seq[device] = seq

    def devices_with(self, metrics: Iterable[int]) -> set[int]:
        """The devices that have a value of any of `metrics`."""
        found: set[int] = set()
        for number in metrics:
            column = self.columns.get(number)
            if column is not None:
                found.update(np.flatnonzero(column.ts_us != NEVER).tolist())
        return found

    def changed_since(self, seq: int, devices: npt.NDArray[np.intp]) -> Frame:
        """The series of `devices` that ticks after `seq` brought, one row per device and time."""
        devices = devices[devices < self.size]
        rows: list[npt.NDArray[np.intp]] = []
        times: list[Int64s] = []
        for column in self.columns.values():
            changed = devices[(column.seq[devices] > seq) & (column.ts_us[devices] != NEVER)]
            rows.append(changed)
            times.append(column.ts_us[changed])
        if not rows:
            return _no_readings()
        device, ts_us = np.concatenate(rows), np.concatenate(times)
        order = np.lexsort((ts_us, device))
        device, ts_us = device[order], ts_us[order]
        first = np.ones(len(device), dtype=bool)
        first[1:] = (device[1:] != device[:-1]) | (ts_us[1:] != ts_us[:-1])
        return self._fill(device[first], ts_us[first], seq)

    def _fill(self, device: npt.NDArray[np.intp], ts_us: Int64s, seq: int) -> Frame:
        metrics: dict[int, Floats] = {}
        for number, column in self.columns.items():
            told = (column.seq[device] > seq) & (column.ts_us[device] == ts_us)
            if told.any():
                metrics[number] = np.where(told, column.value[device], np.nan)
        return Frame(
            device.astype(np.int32, copy=False), ts_us, np.zeros(len(device), dtype=np.int32), metrics
        )

    def _make_room(self, size: int) -> None:
        if size > self.size:
            self.size = max(size, 2 * self.size, 1024)
            for column in self.columns.values():
                column.grow(self.size)


def _no_readings() -> Frame:
    return Frame(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32), {})
