"""What the worker knows of devices and series, as arrays indexed by their numbers.

Owns the mapping (device, metric) -> series and the facts that energy needs of a device. Keeps true that one
name of a metric has one slot in every organisation, so that readings of many organisations share columns;
and that a device which PostgreSQL does not know any more has no series here either, once it was asked for.
Filled from PostgreSQL by `learn`; an entry stays until `forget`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from kilowatch.telemetry.step import Kind
from kilowatch.units import MICRO_WATT_HOURS, WATTS

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KINDS: Final[tuple[Kind, ...]] = ("gauge", "counter", "interval")
NO_SOURCE: Final = -1
RATED_MARGIN: Final = 2.0
"""A device is believed to use up to this many times its rated power."""


@dataclass(frozen=True, slots=True)
class DeviceFact:
    """One device as PostgreSQL knows it; energy fields are None for a device without a source of energy."""

    device_no: int
    organisation_id: UUID
    device_id: str
    time_zone: str
    retention_raw_days: int
    rated_power_w: float | None
    energy_metric: str | None
    energy_kind: str | None
    energy_unit: str | None
    energy_series_no: int | None
    retention_daily_days: int


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Series in columns: their numbers, devices and metrics; and the name of each metric number."""

    series_no: Int32s
    device_no: Int32s
    metric_no: Int32s
    names: dict[int, str]

    @classmethod
    def none(cls) -> "SeriesFacts":
        """No series."""
        nothing = np.empty(0, np.int32)
        return cls(nothing, nothing, nothing, {})


@dataclass(slots=True)
class Registry:
    """Arrays over device numbers, and the slots of metrics."""

    known: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1, np.bool_))
    source_slot: Int32s = field(default_factory=lambda: np.full(1, NO_SOURCE, np.int32))
    source_kind: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(1, np.int8))
    source_scale: Floats = field(default_factory=lambda: np.ones(1))
    limit_w: Floats = field(default_factory=lambda: np.full(1, np.nan))
    energy_series: Int32s = field(default_factory=lambda: np.zeros(1, np.int32))
    zone: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(1, np.int16))
    retention_days: Int32s = field(default_factory=lambda: np.zeros(1, np.int32))
    daily_days: Int32s = field(default_factory=lambda: np.zeros(1, np.int32))
    zones: list[str] = field(default_factory=lambda: ["UTC"])
    slots: dict[str, int] = field(default_factory=dict)
    slot_of_metric: dict[int, int] = field(default_factory=dict)
    series: list[Int32s] = field(default_factory=list)
    """Per slot: series number by device number, 0 where there is none."""
    zone_of_series: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(1, np.int16))
    device_ids: dict[int, tuple[UUID, str]] = field(default_factory=dict)
    highest_series: int = 0

    def unknown(self, device: Int32s) -> Int32s:
        """The distinct device numbers that have not been learnt."""
        missing = ~self.known[self.numbered(device)]
        return np.unique(device[missing]) if missing.any() else np.empty(0, np.int32)

    def numbered(self, device: Int32s) -> Int32s:
        """The device numbers, with 0 (nobody) in place of those that no device has ever had: arrays grow by
        what PostgreSQL knows and never by what a message claims."""
        if int(device.max(initial=0)) < len(self.known) and int(device.min(initial=0)) >= 0:
            return device
        return np.where((device >= 0) & (device < len(self.known)), device, 0).astype(np.int32)

    def slot_of(self, metric_no: int) -> int:
        """The slot of a metric; one that is gone has a slot without any series."""
        slot = self.slot_of_metric.get(metric_no)
        if slot is None:
            slot = self.slot_of_metric[metric_no] = self._slot(f"metric {metric_no}")
        return slot

    def learn(
        self, devices: list[DeviceFact], series: SeriesFacts, asked: Sequence[int] | None = None
    ) -> None:
        """Takes in what PostgreSQL answered about the devices it was `asked` for (those it told of, where
        that is not said); replaces what was known of them."""
        told = [fact.device_no for fact in devices]
        self._drop(told if asked is None else asked)
        highest = max(told, default=0)
        highest = max(highest, int(series.device_no.max(initial=0)))
        if highest >= len(self.known):
            self._grow(highest + 1)
        self.highest_series = max(self.highest_series, int(series.series_no.max(initial=0)))
        for metric_no, name in series.names.items():
            slot = self.slot_of_metric[metric_no] = self._slot(name)
            mine = series.metric_no == metric_no
            self.series[slot][series.device_no[mine]] = series.series_no[mine]
        for fact in devices:
            self._learn_device(fact)
        more = self.highest_series + 1 - len(self.zone_of_series)
        if more > 0:
            self.zone_of_series = np.concatenate([self.zone_of_series, np.zeros(more + 1024, np.int16)])
        self.zone_of_series[series.series_no] = self.zone[series.device_no]
        numbers = np.array(told, np.intp)
        self.zone_of_series[self.energy_series[numbers]] = self.zone[numbers]

    def metric_names(self) -> dict[int, str]:
        """Slot -> name of the metric."""
        return {slot: name for name, slot in self.slots.items()}

    def forget(self, turn: int = 0, turns: int = 1) -> None:
        """Has every device (of so many turns: each one in one of them) learnt anew on its next reading;
        numbers keep their meaning meanwhile."""
        self.known[turn::turns] = False

    def _drop(self, device_nos: Sequence[int]) -> None:
        """Takes series, energy and name from these devices; what exists still is learnt again."""
        numbers = np.array(device_nos, np.intp)
        numbers = numbers[(numbers >= 0) & (numbers < len(self.known))]
        self.known[numbers] = False
        self.source_slot[numbers] = NO_SOURCE
        self.energy_series[numbers] = 0
        for column in self.series:
            column[numbers] = 0
        for number in numbers.tolist():
            self.device_ids.pop(number, None)

    def _learn_device(self, fact: DeviceFact) -> None:
        number = fact.device_no
        self.known[number] = True
        self.device_ids[number] = (fact.organisation_id, fact.device_id)
        self.retention_days[number] = fact.retention_raw_days
        self.daily_days[number] = fact.retention_daily_days
        self.limit_w[number] = np.nan if fact.rated_power_w is None else RATED_MARGIN * fact.rated_power_w
        if fact.time_zone not in self.zones:
            self.zones.append(fact.time_zone)
        self.zone[number] = self.zones.index(fact.time_zone)
        self.source_slot[number] = NO_SOURCE
        scale = source_scale(fact.energy_kind, fact.energy_unit)
        if fact.energy_metric is not None and fact.energy_series_no is not None and scale is not None:
            self.source_slot[number] = self._slot(fact.energy_metric)
            self.source_kind[number] = [str(kind) for kind in KINDS].index(str(fact.energy_kind))
            self.source_scale[number] = scale
            self.energy_series[number] = fact.energy_series_no
            self.highest_series = max(self.highest_series, fact.energy_series_no)

    def _slot(self, metric: str) -> int:
        slot = self.slots.get(metric)
        if slot is None:
            slot = self.slots[metric] = len(self.series)
            self.series.append(np.zeros(len(self.known), np.int32))
        return slot

    def _grow(self, size: int) -> None:
        size = max(size, 2 * len(self.known))
        more = size - len(self.known)

        def grown(old: npt.NDArray[Any], fill: object) -> npt.NDArray[Any]:
            return np.concatenate([old, np.full(more, fill, old.dtype)])

        self.known = grown(self.known, False)
        self.source_slot = grown(self.source_slot, NO_SOURCE)
        self.source_kind = grown(self.source_kind, 0)
        self.source_scale = grown(self.source_scale, 1.0)
        self.limit_w = grown(self.limit_w, np.nan)
        self.energy_series = grown(self.energy_series, 0)
        self.zone = grown(self.zone, 0)
        self.retention_days = grown(self.retention_days, 0)
        self.daily_days = grown(self.daily_days, 0)
        self.series = [grown(column, 0) for column in self.series]


def source_scale(kind: str | None, unit: str | None) -> float | None:
    """Watts (gauges) or micro-watt-hours (counters, intervals) per unit; None for another unit."""
    if kind == "gauge":
        return WATTS.get(unit or "W")
    if kind in ("counter", "interval"):
        return MICRO_WATT_HOURS.get(unit or "kWh")
    return None
