"""A device: a meter, appliance, machine, charger, battery or inverter in a site. Pure."""

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kilowatch.errors import Fault
from kilowatch.ids import DEVICE_ID, name_faults
from kilowatch.sites.site import label_faults, matches, metadata_faults

DEVICE_STATUSES = ("active", "inactive", "maintenance", "error")
DEVICE_STATES = ("on", "off", "standby")
DEVICE_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
DEFAULT_TYPE = "meter"
LABELS = {"room": 100, "icon": 64, "region": 100}


@dataclass(frozen=True, slots=True)
class Device:
    """device_no: its number in frames and series; id: its name to the outside, unique in its organisation;
    rated_power_w, idle_threshold_w: in watts; energy_metric_no: the metric that its energy is made from;
    last_seen: when a message of it last came in, some seconds late."""

    device_no: int
    organisation_id: uuid.UUID
    id: str
    site_id: uuid.UUID
    name: str
    type: str
    room: str | None
    icon: str | None
    rated_power_w: float | None
    idle_threshold_w: float | None
    region: str | None
    metadata: dict[str, Any]
    status: str
    energy_metric_no: int | None
    created_at: datetime
    state: str
    token_made_at: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class DemoDevice:
    """A device of a home to try, and what is played of it."""

    site_id: uuid.UUID
    organisation_id: uuid.UUID
    time_zone: str
    made_at: datetime
    device_no: int
    id: str
    state: str


def device_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with these fields of a device; fields that are not given are not judged."""
    faults = name_faults(values["name"]) if "name" in values else []
    if "id" in values and not matches(DEVICE_ID, values["id"]):
        detail = "id has 1 to 64 of A-Z, a-z, 0-9, '_' and '-', and starts with a letter or digit."
        faults.append(Fault("bad_id", detail, pointer="/id"))
    if "type" in values and not matches(DEVICE_TYPE, values["type"]):
        detail = "type has 1 to 64 of a-z, 0-9, '_' and '-', such as meter or heat-pump."
        faults.append(Fault("bad_type", detail, pointer="/type"))
    if "status" in values and values["status"] not in DEVICE_STATUSES:
        detail = f"status is one of {', '.join(DEVICE_STATUSES)}."
        faults.append(Fault("bad_status", detail, pointer="/status"))
    return faults + metadata_faults(values) + _power_faults(values) + label_faults(values, LABELS)


def toggled(state: str) -> str:
    """The state after a push of the button: what is off or on standby goes on, what is on goes off."""
    return "off" if state == "on" else "on"


def _power_faults(values: Mapping[str, Any]) -> list[Fault]:
    rated, idle = values.get("rated_power_w"), values.get("idle_threshold_w")
    faults = []
    if rated is not None and not (_is_number(rated) and rated > 0):
        faults.append(Fault("bad_power", "rated_power_w is above 0, in watts.", pointer="/rated_power_w"))
    if idle is not None and not (_is_number(idle) and idle >= 0):
        detail = "idle_threshold_w is 0 or more, in watts."
        faults.append(Fault("bad_power", detail, pointer="/idle_threshold_w"))
    return faults


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
