"""A site: a home, plant, microgrid or grid area, with the time zone that its days follow. Pure."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kilowatch.errors import Fault
from kilowatch.ids import name_faults
from kilowatch.period import is_zone

SITE_KINDS = ("home", "plant", "microgrid", "area")
CURRENCY = re.compile(r"[A-Z]{3}")
REGION_MAX = 100


@dataclass(frozen=True, slots=True)
class Site:
    """time_zone: IANA name; currency: ISO 4217 code."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    kind: str
    name: str
    time_zone: str
    currency: str
    region: str | None
    created_at: datetime
    icon: str | None
    metadata: dict[str, Any]
    demo_key_no: int | None


def site_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with these fields of a site; fields that are not given are not judged."""
    faults = name_faults(values["name"]) if "name" in values else []
    if "kind" in values and values["kind"] not in SITE_KINDS:
        faults.append(Fault("bad_kind", f"kind is one of {', '.join(SITE_KINDS)}.", pointer="/kind"))
    if "time_zone" in values and not is_zone(values["time_zone"]):
        detail = "time_zone is the name of an IANA time zone, such as Europe/Berlin or UTC."
        faults.append(Fault("bad_time_zone", detail, pointer="/time_zone"))
    if "currency" in values and not matches(CURRENCY, values["currency"]):
        detail = "currency is an ISO 4217 code of three capitals, such as EUR."
        faults.append(Fault("bad_currency", detail, pointer="/currency"))
    return faults + label_faults(values, {"region": REGION_MAX})


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Whether the value is a text that the pattern describes from end to end."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def label_faults(values: Mapping[str, Any], longest: Mapping[str, int]) -> list[Fault]:
    """What is wrong with optional short texts: empty, too long, or with characters that do not print."""
    return [
        Fault("bad_text", f"{name} has 1 to {length} printable characters.", pointer=f"/{name}")
        for name, length in longest.items()
        if values.get(name) is not None and not _is_label(values[name], length)
    ]


def _is_label(value: object, length: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= length and value.isprintable()
