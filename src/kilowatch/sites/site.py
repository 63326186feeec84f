"""A site: a home, plant, microgrid or grid area, with the time zone that its days follow. Pure."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from kilowatch.errors import Fault
from kilowatch.ids import name_faults
from kilowatch.period import is_zone
from kilowatch.sites.currency import CURRENCIES

SITE_KINDS = ("home", "plant", "microgrid", "area")
METADATA_MAX_BYTES = 16_384
METADATA_MAX_DEPTH = 32
LABELS = {"icon": 64, "region": 100}
VOICES = ("plain", "oracle")
PRICE_MOST = Decimal(1_000_000)
PRICE_DIGITS = 6
"""Digits after the point of a price."""


@dataclass(frozen=True, slots=True)
class Site:
    """time_zone: IANA name; currency: ISO 4217 code; price_per_kwh: in that currency, None for the instance's
    own; voice: how its alerts speak."""

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
    price_per_kwh: Decimal | None
    voice: str


def site_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with these fields of a site; fields that are not given are not judged."""
    faults = name_faults(values["name"]) if "name" in values else []
    if "kind" in values and values["kind"] not in SITE_KINDS:
        faults.append(Fault("bad_kind", f"kind is one of {', '.join(SITE_KINDS)}.", pointer="/kind"))
    if "time_zone" in values and not is_zone(values["time_zone"]):
        detail = "time_zone is the name of an IANA time zone, such as Europe/Berlin or UTC."
        faults.append(Fault("bad_time_zone", detail, pointer="/time_zone"))
    if "currency" in values and values["currency"] not in CURRENCIES:
        detail = "currency is a code of ISO 4217, such as EUR."
        faults.append(Fault("bad_currency", detail, pointer="/currency"))
    if "voice" in values and values["voice"] not in VOICES:
        faults.append(Fault("bad_voice", f"voice is one of {', '.join(VOICES)}.", pointer="/voice"))
    if values.get("price_per_kwh") is not None and not _is_price(values["price_per_kwh"]):
        detail = f"price_per_kwh is 0 to {PRICE_MOST}, with at most {PRICE_DIGITS} digits after the point."
        faults.append(Fault("bad_price", detail, pointer="/price_per_kwh"))
    return faults + metadata_faults(values) + label_faults(values, LABELS)


def _is_price(value: object) -> bool:
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= PRICE_MOST:
        return False
    return value == value.quantize(Decimal(1).scaleb(-PRICE_DIGITS))


def region_faults(region: str | None, regions: Sequence[str]) -> list[Fault]:
    """What is wrong with the region of a site or device in an organisation with these regions; where it has
    none of its own, any goes."""
    if region is None or not regions or region in regions:
        return []
    detail = f"There is no region {region!r}; the organisation has {', '.join(regions)}."
    return [Fault("unknown_region", detail, pointer="/region")]


def metadata_faults(values: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with free metadata."""
    if "metadata" not in values or is_object(values["metadata"], METADATA_MAX_BYTES, METADATA_MAX_DEPTH):
        return []
    detail = (
        f"metadata is a JSON object of at most {METADATA_MAX_BYTES} bytes without NUL characters,"
        f" nested at most {METADATA_MAX_DEPTH} deep."
    )
    return [Fault("bad_metadata", detail, pointer="/metadata")]


def is_object(value: object, most_bytes: int, deepest: int) -> bool:
    """Whether this is a JSON object that PostgreSQL can keep, of at most so many bytes and levels."""
    if not isinstance(value, dict) or _is_deeper(value, deepest):
        return False
    try:
        # Unlike this one, msgspec's encoder would quietly make null of NaN, which jsonb does not take.
        encoded = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return False
    # A backslash that is a text's own is written as two, and what follows them is no escape.
    return len(encoded) <= most_bytes and b"\\u0000" not in encoded.replace(b"\\\\", b"")


def _is_deeper(value: object, deepest: int) -> bool:
    """Whether objects and lists lie in each other deeper than this."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return deepest == 0 or any(_is_deeper(one, deepest - 1) for one in inner)


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
