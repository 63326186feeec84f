"""From a frame's numbers to the registry's: columns by slot, devices that exist, what is still to learn.

Keeps true that every value of a frame is in exactly one slot afterwards, also where several organisations
number the same metric differently in one frame, and where a device or metric is gone.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kilowatch.wire.frame import Frame
from kilowatch.worker.registry import Registry

Floats = npt.NDArray[np.float64]


def unknown_devices(frames: Iterable[Frame], registry: Registry) -> list[int]:
    """The devices in frames of which the registry lacks the facts, or the series of a metric."""
    unknown: set[int] = set()
    for frame in frames:
        unknown.update(registry.unknown(frame.device).tolist())
        for metric, column in frame.metrics.items():
            unknown.update(_without_series(frame, metric, column, registry))
    return sorted(unknown)


def _without_series(frame: Frame, metric: int, column: Floats, registry: Registry) -> list[int]:
    slot = registry.slot_of_metric.get(metric)
    if slot is None:
        return np.unique(frame.device[~np.isnan(column)]).tolist()  # type: ignore[no-any-return]
    missing = registry.series[slot][registry.numbered(frame.device)] == 0
    if not missing.any():
        return []
    return np.unique(frame.device[missing & ~np.isnan(column)]).tolist()  # type: ignore[no-any-return]


def in_slots(frame: Frame, registry: Registry) -> Frame:
    """The frame with its columns numbered by slot, and device 0 in place of devices that never were."""
    columns: dict[int, Floats] = {}
    for metric, column in frame.metrics.items():
        slot = registry.slot_of(metric)
        same = columns.get(slot)
        columns[slot] = column if same is None else np.where(np.isnan(same), column, same)
    return Frame(
        registry.numbered(frame.device),
        frame.ts_us,
        frame.key,
        columns,
        frame.door,
        frame.on_conflict,
        frame.received_us,
    )
