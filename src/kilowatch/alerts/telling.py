"""What an alert says to people: its facts in words, in the voice of its site; and what live clients are told.

Keeps true: every figure has a unit; an alert that is not read anew says the same as when it was. Pure.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from kilowatch.alerts import figures
from kilowatch.alerts.alert import PER_MINUTE, Alert
from kilowatch.alerts.detector import DETECTORS
from kilowatch.alerts.voices import Facts, Spoken, speak
from kilowatch.clock import rfc3339, to_us
from kilowatch.units import MICRO_WATT_HOURS, WATTS
from kilowatch.wire.live import LiveEvent

SECONDS: Final = "silence"
"""The metric of silence, in seconds."""
ENERGY_KINDS: Final = ("high_consumption", "zero_consumption", "negative_consumption")
"""Their values are in kWh."""
POWER_KINDS: Final = ("phantom_load", "spike")
"""Their values are in watts, whatever unit the metric has."""
TOPICS: Final = ("alerts", "anomalies")


@dataclass(frozen=True, slots=True)
class Told:
    """An alert with its words."""

    alert: Alert
    spoken: Spoken


def put_in_words(alert: Alert, now_us: int) -> Told:
    """The alert as it is said at this moment; one that is resolved as at its end."""
    return Told(alert, speak(alert.voice, alert.kind, alert.severity, facts_of(alert, now_us), alert.id))


def facts_of(alert: Alert, now_us: int) -> Facts:
    """What is known of the alert, written for people."""
    ends_us = now_us if alert.resolved_at is None else to_us(alert.resolved_at)
    lasted_s = (ends_us - to_us(alert.since)) / 1e6
    is_group = alert.devices > 1
    told_value = alert.value if alert.kind != "offline" else None
    return Facts(
        device=alert.device_name or (alert.site_name if is_group or alert.device_no is None else None),
        site=alert.site_name,
        room=alert.room,
        state=figures.state_text(alert.state) if alert.kind == "phantom_load" and alert.state else None,
        value=None if told_value is None else measured(told_value, alert),
        limit=None if alert.limit_value is None else measured(alert.limit_value, alert),
        excess_w=None if alert.excess_w is None else figures.power_text(alert.excess_w),
        cost_per_day=(
            None if alert.cost_per_day is None else figures.cost_text(alert.cost_per_day, alert.currency)
        ),
        duration=figures.duration_text(lasted_s) if lasted_s >= 1 else None,
        count=figures.devices_text(alert.devices) if is_group else None,
        metric=None if alert.metric is None else _metric_text(alert.metric),
    )


def _metric_text(metric: str) -> str:
    name = metric.removesuffix(PER_MINUTE).replace("_", " ")
    return f"change of {name}" if metric.endswith(PER_MINUTE) else name


def measured(value: float, alert: Alert) -> str | None:
    """A number of the alert's metric with its unit."""
    if not math.isfinite(value):
        return None
    if alert.metric == SECONDS:
        return figures.duration_text(value)
    if alert.kind in ENERGY_KINDS:
        return _energy_text(value * 1e9)
    unit = "W" if alert.kind in POWER_KINDS else alert.unit or ""
    if unit in WATTS:
        return figures.power_text(value * WATTS[unit])
    if unit in MICRO_WATT_HOURS:
        return _energy_text(value * MICRO_WATT_HOURS[unit])
    return f"{_plain(value)} {unit}".rstrip()


def _energy_text(micro_wh: float) -> str | None:
    return figures.energy_text(round(micro_wh)) if math.isfinite(micro_wh) else None


def _plain(value: float) -> str:
    digits = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if digits in ("-0", "") else digits


def events_of(told: Told, now_us: int) -> list[LiveEvent]:
    """What those who listen are told: on `alerts`, and of what a detector found on `anomalies` as well."""
    alert = told.alert
    data: dict[str, Any] = {
        "id": str(alert.id),
        "kind": alert.kind,
        "severity": alert.severity,
        "status": alert.status,
        "device": alert.device,
        "site_id": str(alert.site_id),
        "rule_id": None if alert.rule_id is None else str(alert.rule_id),
        "since": rfc3339(to_us(alert.since)),
        "value": alert.value,
        "limit": alert.limit_value,
        "devices": alert.devices,
        "title": told.spoken.title,
        "description": told.spoken.description,
        "remedy": told.spoken.remedy,
    }
    topics = TOPICS if alert.kind in DETECTORS else TOPICS[:1]
    return [
        LiveEvent(str(alert.organisation_id), topic, now_us, "alert", data, alert.device_no)
        for topic in topics
    ]
