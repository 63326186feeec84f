"""A grid of meters: any number of them over regions and feeders, some with solar plants and cars. Pure.

Streams that move it: `grid.<region>.load`, `.cars` (what charges there), `.solar` and `.voltage`. Keeps
true: the registers `energy` (taken) and `energy_export` (given) only grow; power is positive while a meter
takes and negative while it gives, and strays around what its registers count.
"""

from collections.abc import Sequence

import numpy as np

from kilowatch.period import MINUTE_US, QUARTER_US
from kilowatch.simulator.engine.chance import as_share
from kilowatch.simulator.fleet.grid_curves import (
    COMMERCIAL,
    HOUSEHOLD,
    KINDS,
    KIT_PEAK,
    LARGE_KIT,
    NO_KIT,
    QUARTER_H,
    SMALL_KIT,
    WITH_CAR,
    Curve,
    Curves,
    Span,
)
from kilowatch.simulator.fleet.rows import Circumstances, Int32s, Roster, device_seeds, rounded
from kilowatch.simulator.home.moments import Floats, Int64s, counted

REGIONS = ("north", "south", "east", "west", "central")
ZONE = "Europe/Berlin"
TYPES = ("household", "commercial")
COMMERCIAL_SHARE, CAR_SHARE, SOLAR_SHARE = 0.08, 0.16, 0.24
HOME_MEAN_W, COMMERCIAL_MEAN_W = 430.0, 2800.0
FOLLOWED = ("load", "cars", "solar", "voltage")
LATE_US = 30 * MINUTE_US
"""Meters follow their curve up to so much later than others."""
NOISE = 0.16
LOW_BITS = np.uint64((1 << 26) - 1)


class Grid:
    """Meters by their number: the region changes first, then the feeder."""

    metrics: tuple[str, ...] = ("energy", "energy_export", "power", "voltage")
    own_faults: frozenset[str] = frozenset()

    def __init__(
        self,
        meters: int,
        seed: int,
        regions: Sequence[str] = REGIONS,
        feeders_per_region: int = 4,
        zone: str = ZONE,
    ) -> None:
        regions = tuple(regions) or REGIONS
        seeds = device_seeds("grid", seed, meters)
        number = np.arange(meters, dtype=np.int64)
        region = (number % len(regions)).astype(np.int16)
        feeder = (number // len(regions) % feeders_per_region).astype(np.int16)
        shop = as_share(counted(seeds, "commercial", 0)) < COMMERCIAL_SHARE
        car = ~shop & (as_share(counted(seeds, "car", 0)) < CAR_SHARE)
        sunny = as_share(counted(seeds, "solar", 0))
        kit = np.select([sunny < SOLAR_SHARE / 3, sunny < SOLAR_SHARE], [LARGE_KIT, SMALL_KIT], NO_KIT)
        kind = np.select([shop, car], [COMMERCIAL, WITH_CAR], HOUSEHOLD)
        spread = as_share(counted(seeds, "size", 0)) + as_share(counted(seeds, "size", 1))
        mean_w = np.where(shop, COMMERCIAL_MEAN_W, HOME_MEAN_W) * (0.3 + 0.7 * spread * spread * spread / 2.0)
        self._mean_w = mean_w
        self._load = (region.astype(np.int64) * KINDS + kind).astype(np.int64)
        self._register = self._load * KIT_PEAK.shape[1] + kit
        self._region = region.astype(np.int64)
        self._peak = KIT_PEAK[kind, kit]
        self._late_us = (as_share(counted(seeds, "late", 0)) * LATE_US).astype(np.int64)
        self._voltage = 231.0 + 3.0 * as_share(counted(seeds, "voltage", 0))
        self._curves = Curves(tuple((name, zone) for name in regions), seed)
        rated_w = np.where(shop, 60_000.0, np.where(car, 22_000.0, 14_500.0))
        self.roster = Roster("meter", regions, TYPES, region, feeder, shop.astype(np.int16), rated_w, seeds)

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """Power in W, voltage in V, registers in kWh; only who has a solar plant has `energy_export`.

        Its memory grows with the time between the first and the last moment.

        Raises:
            ValueError: if a moment is before 2020.
        """
        if not len(ts_us):
            return {name: np.empty(0) for name in ("energy", "power", "voltage")}
        followed_us = ts_us - self._late_us[device]
        span = self._curves.span(int(followed_us.min()), int(followed_us.max()) + QUARTER_US, around)
        quarter, rest = np.divmod(followed_us - span.begins_us, QUARTER_US)
        part = rest * (1.0 / QUARTER_US)
        mean_w = self._mean_w[device]
        load, cars, sun, volts = self._ratios(device, ts_us, around)
        curve = self._load[device]
        net = _between(span.load, curve, quarter, part) * load
        if isinstance(load, np.ndarray) and isinstance(cars, np.ndarray):
            charging = np.flatnonzero((cars != load) & (curve % KINDS == WITH_CAR))
            at = curve[charging], quarter[charging], part[charging]
            charge = _between(span.load, *at) - _between(span.load, at[0] - WITH_CAR + HOUSEHOLD, *at[1:])
            net[charging] += charge * (cars - load)[charging]
        bits = counted(self.roster.seed[device], "reading", ts_us)
        voltage = self._voltage[device] - 1.2 * net
        row = self._register[device]
        columns = {"energy": rounded(mean_w * _read(span, True, row, quarter, part) / 1000.0, 3)}
        peak = self._peak[device]
        solar = np.flatnonzero(peak)
        if len(solar):
            quarters, parts = quarter[solar], part[solar]
            shines = _between(span.sun, self._region[device[solar]], quarters, parts) * peak[solar]
            shines = shines * (sun[solar] if isinstance(sun, np.ndarray) else sun)
            net[solar] -= shines
            voltage[solar] += 0.5 * shines
            export = np.full(len(ts_us), np.nan)
            given = mean_w[solar] * _read(span, False, row[solar], quarters, parts) / 1000.0
            export[solar] = rounded(given, 3)
            columns["energy_export"] = export
        stray = (bits >> np.uint64(38)).astype(np.float64) * 2.0**-26 - 0.5
        columns["power"] = rounded(mean_w * net * (1.0 + NOISE * stray), 1)
        flicker = ((bits >> np.uint64(12)) & LOW_BITS).astype(np.float64) * 2.0**-26 - 0.5
        columns["voltage"] = rounded((voltage + 1.2 * flicker) * volts, 1)
        return columns

    def _ratios(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> "tuple[Floats | float, ...]":
        """How far load, charging, sun and voltage are from usual."""
        if around.since_us is None:
            return (1.0,) * len(FOLLOWED)
        region = self._region[device]
        found: list[Floats | float] = []
        for what in FOLLOWED:
            by_region = np.ones(len(ts_us))
            for place, name in enumerate(self.roster.regions):
                here = np.flatnonzero(region == place)
                by_region[here] = around.ratios(f"grid.{name}.{what}", ts_us[here])
            found.append(by_region)
        return tuple(found)


def _between(curve: Curve, row: Int64s, quarter: Int64s, part: Floats) -> Floats:
    """A curve between two quarters, straight."""
    at = row * curve.shape[1] + quarter
    flat = curve.ravel()
    first = flat.take(at)
    value: Floats = first + (flat.take(at + 1) - first) * part
    return value


def _read(span: Span, is_taken: bool, row: Int64s, quarter: Int64s, part: Floats) -> Floats:
    """Wh on a register, per watt of mean load."""
    total, (begins, ends) = (span.taken, span.taken_w) if is_taken else (span.given, span.given_w)
    at = row * total.shape[1] + quarter
    first = begins.ravel().take(at)
    grown = part * (first + 0.5 * part * (ends.ravel().take(at) - first))
    flat = total.ravel()
    value: Floats = np.minimum(flat.take(at) + QUARTER_H * grown, flat.take(at + 1))
    return value
