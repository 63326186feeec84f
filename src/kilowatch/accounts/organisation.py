"""An organisation's own choices: its regions, and for how long readings are kept. Pure.

Keeps true that finer readings are never kept for longer than what they are rolled up to.
"""

from collections.abc import Collection, Mapping
from typing import Any

from kilowatch.errors import Fault
from kilowatch.ids import name_faults

REGION_MAX = 100
REGIONS_MOST = 1000
RETENTION_MOST_DAYS = 36_525
"""A century."""
RETENTIONS = ("retention_raw_days", "retention_hourly_days", "retention_daily_days")
"""From the finest to the coarsest."""


def organisation_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with these fields of an organisation; what is not given is not judged."""
    faults = name_faults(values["name"]) if "name" in values else []
    if "regions" in values and not are_regions(values["regions"]):
        detail = (
            f"regions are up to {REGIONS_MOST:,} different labels of 1 to {REGION_MAX} printable characters."
        )
        faults.append(Fault("bad_regions", detail, pointer="/regions"))
    return faults + _retention_faults(values)


def _retention_faults(values: Mapping[str, Any]) -> list[Fault]:
    given = [name for name in RETENTIONS if name in values]
    faults = [
        Fault("bad_retention", f"{name} is 1 to {RETENTION_MOST_DAYS:,} days.", pointer=f"/{name}")
        for name in given
        if not 1 <= values[name] <= RETENTION_MOST_DAYS
    ]
    days = [values[name] for name in given]
    if not faults and days != sorted(days):
        detail = "Raw readings are kept no longer than hourly ones, and those no longer than daily ones."
        faults.append(Fault("bad_retention", detail, pointer=f"/{given[0]}"))
    return faults


def are_regions(regions: Collection[object]) -> bool:
    """Whether these can be an organisation's regions."""
    return len(regions) <= REGIONS_MOST and len(set(regions)) == len(regions) and all(map(_is_label, regions))


def region_faults(region: str | None, regions: Collection[str]) -> list[Fault]:
    """What is wrong with a member's region: the organisation must have it, once it has a list."""
    if region is None or region in regions or (not regions and _is_label(region)):
        return []
    return [Fault("unknown_region", "region is one of the organisation's own.", pointer="/region")]


def _is_label(label: object) -> bool:
    return (
        isinstance(label, str)
        and 1 <= len(label) <= REGION_MAX
        and label.isprintable()
        and label.strip() == label
    )
