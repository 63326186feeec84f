"""What detectors know of the devices that they watch: sites, limits, switches, profiles, in columns.

Keeps true: columns are indexed by device number, and 0 is nobody; a device that PostgreSQL does not know has
no place here, whatever a message claims.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilowatch.alerts.detector import Detector, Setting, detectors_of
from kilowatch.alerts.finding import Key
from kilowatch.alerts.voices import Kind, Severity
from kilowatch.clock import MICROSECONDS
from kilowatch.period import DAY_US, offset_periods
from kilowatch.units import WATTS
from kilowatch.worker.silence import Roll
from kilowatch.worker.store.watching import GroundRows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PRODUCERS: Final = frozenset({"solar", "pv", "inverter", "battery", "generator", "wind", "storage"})
"""Types of devices that may well count backwards, or nothing."""
RESTING: Final = ("off", "standby")
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class SiteGround:
    """A site and how its detectors are set."""

    organisation_id: uuid.UUID
    site_id: uuid.UUID
    zone: str
    kind: str
    detectors: dict[Kind, Detector]


@dataclass(slots=True)
class Profile:
    """What is usual: row by device number, and medians and spreads by row and local hour, in watts."""

    row: Ints = field(default_factory=lambda: np.full(1, UNKNOWN, np.int64))
    median_w: Floats = field(default_factory=lambda: np.zeros((0, 24)))
    spread_w: Floats = field(default_factory=lambda: np.zeros((0, 24)))

    @classmethod
    def of(cls, device: Ints, median_w: Floats, spread_w: Floats, width: int) -> "Profile":
        """The profiles of these devices."""
        row = np.full(width, UNKNOWN, np.int64)
        inside = device < width
        row[device[inside]] = np.flatnonzero(inside)
        return cls(row, median_w, spread_w)

    def widened(self, width: int) -> "Profile":
        """The same for so many device numbers."""
        more = max(width - len(self.row), 0)
        return Profile(np.append(self.row, np.full(more, UNKNOWN, np.int64)), self.median_w, self.spread_w)

    def with_more(self, device: Ints, median_w: Floats, spread_w: Floats) -> "Profile":
        """The same with the profiles of more devices."""
        wider = self.widened(int(device.max(initial=0)) + 1)
        wider.row[device] = len(self.median_w) + np.arange(len(device))
        return Profile(
            wider.row, np.concatenate([self.median_w, median_w]), np.concatenate([self.spread_w, spread_w])
        )


@dataclass(slots=True)
class Ground:
    """Columns by device number, and the sites."""

    known: Mask
    site: Ints
    type: Ints
    """Place in `types`."""
    room: Ints
    idle_w: Floats
    is_off: Mask
    off_since_us: Ints
    is_watched: Mask
    gateway: Ints
    energy_series: Ints
    sites: list[SiteGround]
    types: list[str]
    powers: dict[int, float]
    """Metric number -> watts per unit."""
    rests: dict[int, Ints] = field(default_factory=dict)
    """Metric number -> the values by which devices say that they are off or on standby."""
    _worked_out: dict[tuple[Kind, str], npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Ground":
        """Nobody."""
        return make_ground(GroundRows({}, [], {}), [], 0)

    def __len__(self) -> int:
        return len(self.known)

    def is_on(self, kind: Kind) -> Mask:
        """For each device whether this detector watches it."""
        if (kind, "is_on") not in self._worked_out:
            on = np.array([site.detectors[kind].is_on for site in self.sites] or [False])
            self._worked_out[kind, "is_on"] = self.known & self.is_watched & on[self.site]
        return self._worked_out[kind, "is_on"]

    def limit(self, kind: Kind, name: str) -> Floats:
        """For each device this limit of a detector."""
        if (kind, name) not in self._worked_out:
            self._worked_out[kind, name] = self._work_out_limit(kind, name)
        return self._worked_out[kind, name]

    def _work_out_limit(self, kind: Kind, name: str) -> Floats:
        detectors = [site.detectors[kind] for site in self.sites]
        by_site = np.array([detector.limits[name] for detector in detectors] or [0.0])
        limits: Floats = by_site[self.site]
        places = {of_type: place for place, of_type in enumerate(self.types)}
        special = np.full((len(by_site), max(len(places), 1)), np.nan)
        for row, detector in zip(special, detectors, strict=False):
            for of_type in detector.by_type.keys() & places.keys():
                row[places[of_type]] = detector.by_type[of_type]
        found = special[self.site, self.type]
        return np.where(np.isnan(found), limits, found)

    def produces(self) -> Mask:
        """For each device whether it is of a type that may well count backwards, or nothing."""
        return np.isin(self.type, np.flatnonzero([of_type in PRODUCERS for of_type in self.types]))

    def severity(self, kind: Kind, device: int) -> Severity:
        """How grave it is when this detector finds something of a device."""
        return self.sites[int(self.site[device])].detectors[kind].severity

    def key(self, kind: Kind, device: int) -> Key:
        """What an alert about this device would be about."""
        return Key(self.sites[self.site[device]].organisation_id, kind, device)

    def switch(self, device: int, is_off: bool, now_us: int) -> None:
        """A device was switched."""
        if 0 < device < len(self) and self.is_off[device] != is_off:
            self.is_off[device], self.off_since_us[device] = is_off, now_us

    def local_us(self, device: Ints, ts_us: Ints) -> Ints:
        """How long after midnight these moments are on the clocks of the devices' sites."""
        local = np.empty(len(ts_us), np.int64)
        place = self.site[device]
        for number in np.unique(place).tolist():
            mine = place == number
            local[mine] = since_midnight_us(ts_us[mine], self.sites[number].zone)
        return local

    def roll(self) -> Roll:
        """Who is listened for."""
        gateway = self.gateway.copy()
        parents = np.unique(gateway[gateway > 0])
        parents = parents[parents < len(self)]
        gateway[parents] = parents
        least = (self.limit("offline", "least_s") * MICROSECONDS).astype(np.int64)
        sites = [(one.organisation_id, one.site_id, one.detectors["offline"].severity) for one in self.sites]
        return Roll(self.is_on("offline"), gateway, self.site, least, sites)


def since_midnight_us(ts_us: Ints, zone: str) -> Ints:
    """How long after midnight these moments are on the clock of a zone."""
    starts, offsets = offset_periods(zone, int(ts_us.min()), int(ts_us.max()) + 1)
    offset = offsets[np.searchsorted(starts, ts_us, "right") - 1]
    local: Ints = (ts_us + offset) % DAY_US
    return local


def make_ground(rows: GroundRows, settings: Iterable[Setting], now_us: int) -> Ground:
    """The ground as PostgreSQL knows it; a device that is off counts as off since now."""
    device = np.array(rows.devices.get("device", []), np.int64)
    width = int(device.max(initial=0)) + 1

    def column(name: str, dtype: type, fill: object) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = np.full(width, fill, dtype)
        values[device] = np.array(rows.devices.get(name, []), dtype)
        return values

    def named(name: str, names: Sequence[str]) -> Ints:
        places = {one: place for place, one in enumerate(names)}
        values = np.zeros(width, np.int64)
        values[device] = [places[one] for one in rows.devices.get(name, [])]
        return values

    sites = _sites(rows, settings)
    types = sorted(set(rows.devices.get("type", [])))
    rooms = sorted(set(rows.devices.get("room", [])))
    known = np.zeros(width, np.bool_)
    known[device] = True
    is_off: Mask = column("is_off", bool, False)
    return Ground(
        known=known,
        site=column("site", np.int64, 0),
        type=named("type", types),
        room=named("room", rooms),
        idle_w=column("idle_w", float, np.nan),
        is_off=is_off,
        off_since_us=np.where(is_off, now_us, 0),
        is_watched=column("is_watched", bool, False),
        gateway=column("gateway", np.int64, 0),
        energy_series=column("energy_series", np.int64, 0),
        sites=sites,
        types=types,
        powers={number: WATTS[unit] for number, unit in rows.powers.items() if unit in WATTS},
        rests={number: _resting(names) for number, names in rows.states.items()},
    )


def _resting(states: Sequence[str]) -> Ints:
    return np.flatnonzero(np.isin(np.array(states, np.str_), RESTING))


def _sites(rows: GroundRows, settings: Iterable[Setting]) -> list[SiteGround]:
    of: dict[uuid.UUID, list[Setting]] = {}
    for setting in settings:
        of.setdefault(setting.organisation_id, []).append(setting)
    plain = detectors_of([], None)
    return [
        SiteGround(
            organisation_id, site_id, zone, kind,
            detectors_of(of[organisation_id], site_id) if organisation_id in of else plain,
        )
        for organisation_id, site_id, zone, kind in rows.sites
    ]  # fmt: skip


def by_number(rows: GroundRows, name: str, width: int) -> Ints:
    """A column of whole numbers by device number, 0 where there is none."""
    values = np.zeros(width, np.int64)
    values[np.array(rows.devices.get("device", []), np.int64)] = rows.devices.get(name, [])
    return values
