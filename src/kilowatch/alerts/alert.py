"""An alert as it is kept, with the names of what it is about; comments; maintenance windows. Pure.

Keeps true: a window is judged by its own fields alone, so whoever asks whether it holds gets one answer.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from kilowatch.alerts.lifecycle import Status
from kilowatch.alerts.voices import KINDS, Kind, Severity, VoiceName
from kilowatch.errors import Fault

PER_MINUTE = "/min"
"""Follows the name of a metric, and its unit, where it is its change that is told of."""
REASON_MAX = 500
COMMENT_MAX = 4000
FIRST_YEAR, LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True)
class Alert:
    """since: when the breach began; ts: the reading at which it was certain; raised_at: when it was written
    down; value, limit_value: in `unit`, the metric's; cost_per_day: of the power above normal, in `currency`;
    devices: how many are concerned; suppressed_by: `window:<id>`, `parent:<alert>` or who did it; device,
    device_name, room, state, site_name, time_zone, voice: of what it is about, as they are now."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    kind: Kind
    rule_id: uuid.UUID | None
    device_no: int | None
    site_id: uuid.UUID
    severity: Severity
    status: Status
    since: datetime
    raised_at: datetime
    ts: datetime
    metric: str | None
    value: float | None
    limit_value: float | None
    excess_w: float | None
    cost_per_day: Decimal | None
    currency: str
    devices: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    how: str | None
    suppressed_by: str | None
    suppressed_until: datetime | None
    parent_id: uuid.UUID | None
    device: str | None
    device_name: str | None
    room: str | None
    state: str | None
    site_name: str
    time_zone: str
    voice: VoiceName
    unit: str | None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote beside an alert."""

    id: uuid.UUID
    at: datetime
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many alerts there are, by each of their words."""

    status: dict[str, int]
    severity: dict[str, int]
    kind: dict[str, int]


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A time in which alerts are suppressed: of a device, a site, a kind, a rule, of all that is given of
    these, or of the whole organisation. `device` is the device's id. The end is not part of it."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    device: str | None
    site_id: uuid.UUID | None
    kind: Kind | None
    rule_id: uuid.UUID | None
    starts_at: datetime
    ends_at: datetime
    reason: str | None
    made_by: str
    created_at: datetime


def window_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with these fields of a window; fields that are not given are not judged."""
    faults = [
        Fault("bad_time", f"{name} is a time with its zone.", pointer=f"/{name}")
        for name in ("starts_at", "ends_at")
        if name in values and not is_moment(values[name])
    ]
    if not faults and {"starts_at", "ends_at"} <= values.keys() and values["ends_at"] <= values["starts_at"]:
        faults.append(Fault("bad_span", "ends_at is after starts_at.", pointer="/ends_at"))
    if values.get("kind") is not None and values["kind"] not in KINDS:
        faults.append(Fault("bad_kind", f"kind is one of {', '.join(KINDS)}.", pointer="/kind"))
    reason = values.get("reason")
    if reason is not None and not is_text(reason, REASON_MAX):
        detail = f"reason has 1 to {REASON_MAX} characters, none of them NUL."
        faults.append(Fault("bad_text", detail, pointer="/reason"))
    return faults


def is_moment(value: object) -> bool:
    """Whether this is a time with its zone, in years that PostgreSQL gives back in whatever zone."""
    return isinstance(value, datetime) and value.tzinfo is not None and FIRST_YEAR <= value.year <= LAST_YEAR


def is_text(value: object, longest: int) -> bool:
    """Whether this is a text that can be kept: not empty, not too long, nothing that PostgreSQL refuses."""
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= longest:
        return False
    return "\x00" not in value and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
