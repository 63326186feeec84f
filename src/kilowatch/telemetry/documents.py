"""The JSON documents of reading back: their shapes, and how answers become them.

Owns names and units on the wire. Keeps true that a number in a document is the query layer's number, and
that energy is shown in Wh with every micro-watt-hour that it has.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.clock import rfc3339, to_datetime
from kilowatch.sites.device import Device
from kilowatch.sites.site import Site
from kilowatch.telemetry.forms import format_times, show_values
from kilowatch.telemetry.health import Health
from kilowatch.telemetry.query import Points, Span
from kilowatch.telemetry.site_energy import Energy, SiteEnergy
from kilowatch.telemetry.source import Series
from kilowatch.units import MICRO_PER_WH

MetricKind = Literal["gauge", "counter", "interval", "state"]
Point = tuple[datetime, float | str]


class SeriesShown(BaseModel):
    """One series: points ascend in time; a bucket's time is its start, and empty buckets have no point."""

    metric: str
    unit: str
    kind: str
    agg: str
    resolution: str = Field(description="As the document's, but canonical energy is never finer than 15m.")
    points: list[Point]
    coverage: float = Field(ge=0, le=1, description="Share of the past part of the span that has data.")


class Readings(BaseModel):
    """Readings of a device over a span."""

    device: str
    resolution: str
    time_zone: str
    start: datetime
    end: datetime
    series: list[SeriesShown]


class SeriesOfDevice(BaseModel):
    """The series of one device of a site."""

    device: str
    name: str
    series: list[SeriesShown]


class ReadingsOfSite(BaseModel):
    """Readings of several devices of a site over a span, all with the same resolution."""

    site_id: uuid.UUID
    resolution: str
    time_zone: str
    start: datetime
    end: datetime
    devices: list[SeriesOfDevice]


class LatestValue(BaseModel):
    """The newest value of one metric."""

    metric: str
    unit: str
    ts: datetime
    value: float | str


class LatestOfDevice(BaseModel):
    """The newest values of one device."""

    device: str
    site_id: uuid.UUID
    metrics: list[LatestValue]


class Latest(BaseModel):
    """The newest values of all devices."""

    items: list[LatestOfDevice]
    next_cursor: str | None


class EnergyShown(BaseModel):
    """Energy by bucket; `energy_wh` is the sum, null when nothing is known."""

    points: list[tuple[datetime, float]]
    energy_wh: float | None
    coverage: float = Field(ge=0, le=1)


class DeviceEnergy(EnergyShown):
    """Energy of one device."""

    device: str
    name: str


class SiteEnergyShown(BaseModel):
    """Energy of a site's devices, each and in total."""

    site_id: uuid.UUID
    resolution: str
    time_zone: str
    start: datetime
    end: datetime
    unit: Literal["Wh"]
    currency: str
    price_per_kwh: Decimal = Field(
        description="What a kWh costs: as the site says, else as the instance does."
    )
    devices: list[DeviceEnergy]
    total: EnergyShown


class HealthPart(BaseModel):
    """A part of a score: its share and weight, and what was achieved of what was expected: intervals,
    readings, values, or (the delay, and what is allowed) seconds."""

    model_config = ConfigDict(from_attributes=True)

    share: float = Field(ge=0, le=1)
    weight: float
    achieved: float
    expected: float


class HealthShown(BaseModel):
    """How well a device reports. Without a score `reason` says why; one of 0 or in maintenance has it too."""

    device: str
    score: float | None = Field(ge=0, le=100)
    reason: Literal["no_data", "silent", "too_few_readings", "maintenance"] | None
    status: str
    start: datetime
    end: datetime
    cadence_s: float | None = Field(description="The median gap between readings.")
    uptime: HealthPart | None
    completeness: HealthPart | None
    errors: HealthPart | None
    delay: HealthPart | None


class MetricShown(BaseModel):
    """What a number means."""

    name: str
    unit: str
    kind: MetricKind
    states: list[str]
    minimum: float | None
    maximum: float | None


class Metrics(BaseModel):
    """All metrics of the organisation."""

    items: list[MetricShown]
    next_cursor: None = None


class MetricWanted(BaseModel):
    """What a number shall mean; limits are inclusive, `states` are the names of a state metric's values."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    unit: str = Field("", max_length=32)
    kind: MetricKind = "gauge"
    states: list[str] = Field(default_factory=list, max_length=256)
    minimum: float | None = None
    maximum: float | None = None


class DeadLetterShown(BaseModel):
    """A reading that was refused, with the reason."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    device: str | None
    door: str
    code: str
    detail: str
    payload: Any
    received_at: datetime
    replayed_at: datetime | None


class DeadLetters(BaseModel):
    """A page of dead letters, newest first."""

    model_config = ConfigDict(from_attributes=True)

    items: list[DeadLetterShown]
    next_cursor: str | None


class LetterCountShown(BaseModel):
    """Letters that came by one door and were refused for one reason."""

    model_config = ConfigDict(from_attributes=True)

    door: str
    code: str
    waiting: int
    replayed: int
    oldest: datetime
    newest: datetime


class DeadLetterSummary(BaseModel):
    """All dead letters, counted; what waits most comes first."""

    model_config = ConfigDict(from_attributes=True)

    waiting: int
    replayed: int
    items: list[LetterCountShown]


def encode_readings(device: str, resolution: str, span: Span, series: Sequence[Points]) -> bytes:
    """The document `Readings`."""
    return msgspec.json.encode(
        {
            "device": device,
            "resolution": resolution,
            "time_zone": span.zone,
            "start": rfc3339(span.start_us),
            "end": rfc3339(span.end_us),
            "series": [_show_series(points) for points in series],
        }
    )


def encode_readings_of_site(
    site_id: uuid.UUID, resolution: str, span: Span, found: Sequence[tuple[Device, Sequence[Points]]]
) -> bytes:
    """The document `ReadingsOfSite`."""
    return msgspec.json.encode(
        {
            "site_id": site_id,
            "resolution": resolution,
            "time_zone": span.zone,
            "start": rfc3339(span.start_us),
            "end": rfc3339(span.end_us),
            "devices": [
                {"device": device.id, "name": device.name, "series": [_show_series(one) for one in series]}
                for device, series in found
            ],
        }
    )


def _show_series(points: Points) -> dict[str, Any]:
    ref = points.plan.ref
    return {
        "metric": ref.metric,
        "unit": ref.unit,
        "kind": "interval" if ref.kind == "energy" else ref.kind,
        "agg": points.plan.agg,
        "resolution": points.plan.resolution,
        "points": list(zip(format_times(points.ts_us), show_values(points), strict=True)),
        "coverage": round(points.coverage, 6),
    }


def show_health(device: Device, health: Health, now_us: int) -> HealthShown:
    """The document of a device's health."""
    parts = {name: getattr(health, name) for name in ("uptime", "completeness", "errors", "delay")}
    return HealthShown(
        device=device.id,
        score=health.score,
        reason=health.reason,
        status=device.status,
        start=to_datetime(health.start_us),
        end=to_datetime(now_us),
        cadence_s=health.cadence_s,
        **{name: None if part is None else HealthPart.model_validate(part) for name, part in parts.items()},
    )


def encode_latest(
    devices: Sequence[Device],
    series: Sequence[Series],
    newest: dict[int, tuple[int, float]],
    next_cursor: str | None,
) -> bytes:
    """The document `Latest`."""
    values: dict[int, list[dict[str, Any]]] = {device.device_no: [] for device in devices}
    for one in series:
        found = newest.get(one.series_no)
        if found is not None:
            ts_us, value = found
            shown = one.states[int(value)] if 0 <= value < len(one.states) else value
            values[one.device_no].append(
                {"metric": one.metric, "unit": one.unit, "ts": rfc3339(ts_us), "value": shown}
            )
    return msgspec.json.encode(
        {
            "items": [
                {"device": device.id, "site_id": device.site_id, "metrics": values[device.device_no]}
                for device in devices
            ],
            "next_cursor": next_cursor,
        }
    )


def encode_site_energy(
    site: Site, price_per_kwh: Decimal, span: Span, devices: Sequence[Device], energy: SiteEnergy
) -> bytes:
    """The document `SiteEnergyShown`; price_per_kwh: what holds for the site; `energy.parts` are
    those of `devices`, in the same order."""
    return msgspec.json.encode(
        {
            "site_id": site.id,
            "resolution": energy.tier,
            "time_zone": span.zone,
            "start": rfc3339(span.start_us),
            "end": rfc3339(span.end_us),
            "unit": "Wh",
            "currency": site.currency,
            "price_per_kwh": f"{price_per_kwh:f}",
            "devices": [
                {"device": device.id, "name": device.name, **_show_energy(part)}
                for device, part in zip(devices, energy.parts, strict=True)
            ],
            "total": _show_energy(energy.total),
        }
    )


def _show_energy(energy: Energy) -> dict[str, Any]:
    # An int64 divided by a million is the nearest double, whose shortest text has all six decimals.
    values = (energy.energy_uwh / MICRO_PER_WH).tolist()
    return {
        "points": list(zip(format_times(energy.bucket_us), values, strict=True)),
        "energy_wh": energy.total_uwh / MICRO_PER_WH if len(energy.bucket_us) else None,
        "coverage": round(energy.coverage, 6),
    }
