"""How detectors are set: what holds at a site, from what was set for it, for its organisation, and defaults.

Keeps true: what is set for a site goes before what is set for the organisation, limit by limit; a limit that
a detector does not have is refused, so that a misspelt one is never silently lost. Pure.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from kilowatch.alerts.voices import SEVERITIES, Kind, Severity
from kilowatch.errors import Fault
from kilowatch.sites.device import DEVICE_TYPE

DETECTORS: Final[tuple[Kind, ...]] = tuple(kind for kind in get_args(Kind) if kind not in ("rule", "model"))
DAY_S: Final = 86_400.0

SEVERITY: Final[dict[Kind, Severity]] = {
    "phantom_load": "low",
    "spike": "medium",
    "ghost_walk": "high",
    "high_consumption": "high",
    "zero_consumption": "medium",
    "negative_consumption": "medium",
    "offline": "high",
}
LIMITS: Final[dict[Kind, dict[str, tuple[float, float, float]]]] = {
    "phantom_load": {"grace_s": (2.0, 0.0, DAY_S), "for_s": (0.0, 0.0, DAY_S)},
    "spike": {"spreads": (6.0, 1.0, 100.0), "for_s": (300.0, 0.0, DAY_S)},
    "ghost_walk": {
        "asleep_from_h": (1.0, 0.0, 24.0),
        "asleep_until_h": (5.0, 0.0, 24.0),
        "devices": (3.0, 2.0, 100.0),
    },
    "high_consumption": {"limit_kwh": (100.0, 0.0, 1e9)},
    "zero_consumption": {"for_s": (DAY_S, 900.0, 7 * DAY_S)},
    "negative_consumption": {"limit_kwh": (0.0, -1e9, 0.0)},
    "offline": {"least_s": (120.0, 1.0, DAY_S)},
}
"""Of each detector its limits: the default, and the least and most that they may be."""
PER_TYPE: Final[dict[Kind, str]] = {"high_consumption": "limit_kwh", "negative_consumption": "limit_kwh"}
"""Detectors with a limit that may differ from one device type to the next: `limits.by_type`."""
TYPES_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What somebody set: None and missing limits leave to the organisation, or the defaults, what is said."""

    organisation_id: uuid.UUID
    site_id: uuid.UUID | None
    kind: Kind
    is_on: bool | None
    severity: Severity | None
    limits: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Detector:
    """What holds. by_type: limits of single device types."""

    kind: Kind
    is_on: bool
    severity: Severity
    limits: dict[str, float]
    by_type: dict[str, float]


def default_of(kind: Kind) -> Detector:
    """A detector of which nothing was set."""
    return Detector(kind, True, SEVERITY[kind], {name: one[0] for name, one in LIMITS[kind].items()}, {})


def set_upon(detector: Detector, setting: Setting) -> Detector:
    """The detector with what was set on top."""
    limits = {name: value for name, value in setting.limits.items() if name in detector.limits}
    return Detector(
        detector.kind,
        detector.is_on if setting.is_on is None else setting.is_on,
        setting.severity or detector.severity,
        detector.limits | limits,
        detector.by_type | setting.limits.get("by_type", {}),
    )


def detectors_of(settings: Iterable[Setting], site_id: uuid.UUID | None) -> dict[Kind, Detector]:
    """What holds at a site of an organisation with these settings; without a site, where nothing was set
    for it."""
    found = {kind: default_of(kind) for kind in DETECTORS}
    ordered = sorted(settings, key=lambda setting: setting.site_id is not None)
    for setting in ordered:
        if setting.kind in found and setting.site_id in (None, site_id):
            found[setting.kind] = set_upon(found[setting.kind], setting)
    return found


def setting_faults(kind: str, values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with what somebody would set."""
    if kind not in DETECTORS:
        return [Fault("bad_kind", f"kind is one of {', '.join(DETECTORS)}.", pointer="/kind")]
    faults = []
    if values.get("severity") is not None and values["severity"] not in SEVERITIES:
        faults.append(Fault("bad_severity", f"severity is one of {', '.join(SEVERITIES)}.", "/severity"))
    limits = dict(values.get("limits") or {})
    by_type = limits.pop("by_type", {})
    for name, value in limits.items():
        faults += _limit_faults(kind, name, value, f"/limits/{name[:64]}")
    return faults + _type_faults(kind, by_type)


def _limit_faults(kind: Kind, name: str, value: object, pointer: str) -> list[Fault]:
    if name not in LIMITS[kind]:
        detail = f"The limits of {kind} are {', '.join(LIMITS[kind])}."
        return [Fault("unknown_limit", detail, pointer)]
    _, least, most = LIMITS[kind][name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        return [Fault("bad_limit", f"{name} is a number from {least:g} to {most:g}.", pointer)]
    return []


def _type_faults(kind: Kind, by_type: object) -> list[Fault]:
    if by_type and kind not in PER_TYPE:
        return [Fault("unknown_limit", f"{kind} has no limits by type.", "/limits/by_type")]
    if not isinstance(by_type, dict) or len(by_type) > TYPES_MOST:
        detail = f"by_type is an object of at most {TYPES_MOST} device types with a limit each."
        return [Fault("bad_limit", detail, "/limits/by_type")]
    faults = []
    for name, value in by_type.items():
        if not DEVICE_TYPE.fullmatch(name):
            faults.append(Fault("bad_type", f"{name[:64]!r} is no device type.", "/limits/by_type"))
        else:
            faults += _limit_faults(kind, PER_TYPE[kind], value, f"/limits/by_type/{name}")
    return faults
