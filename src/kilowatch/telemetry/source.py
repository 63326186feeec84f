"""Series, what a device's energy is made from, and what else the worker must know of a device. Pure."""

import uuid
from dataclasses import dataclass

from kilowatch.telemetry.metric import Kind


@dataclass(frozen=True, slots=True)
class DeviceSource:
    """What the worker needs to know of a device.

    device: its id; time_zone: its site's; metric_no, metric, kind, unit: the metric that its energy is made
    from, and energy_series_no: the series that it goes to, all None while the device has no such metric.
    """

    device_no: int
    organisation_id: uuid.UUID
    device: str
    time_zone: str
    rated_power_w: float | None
    metric_no: int | None
    metric: str | None
    kind: Kind | None
    unit: str | None
    energy_series_no: int | None


@dataclass(frozen=True, slots=True)
class Series:
    """One device's one metric; `device` is the device's id."""

    series_no: int
    device_no: int
    device: str
    metric_no: int
    metric: str
    unit: str
    kind: Kind
    states: list[str]
