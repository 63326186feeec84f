"""Detectors that look at canonical energy by the quarter-hour, and the learning of profiles from it.

- high consumption: energy of a quarter > `limit_kwh` (of the device's type);
- negative consumption: energy of a quarter < `limit_kwh`, not of devices that produce;
- zero consumption: 0 Wh in every quarter of `for_s`, not of devices that are off or produce.

A quarter is looked at once: when it is known to nine tenths, or a quarter-hour later; zero needs it known. A
profile is learnt from the mean power of those quarters of four weeks that are known at least to a half.

Keeps true: a quarter that was looked at is not looked at again; a restart looks at the last ones once more
and comes to the same alerts. Methods that ask the lake block: run them in a thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.alerts.finding import Clearing, Finding
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.alerts.voices import Kind
from kilowatch.clock import MICROSECONDS
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, QUARTER_US
from kilowatch.rules.detectors.profile import HOURS, learn
from kilowatch.rules.watch import Changes
from kilowatch.telemetry.metric import ENERGY
from kilowatch.units import MICRO_PER_KWH, MICRO_PER_WH
from kilowatch.worker.ground import Ground, Profile
from kilowatch.worker.samples import Found, Lookers, make_watches, over_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KNOWN_US: Final = QUARTER_US * 9 // 10
SETTLED_US: Final = MINUTE_US
LEARNT_DAYS: Final = 28
DEVICES_AT_ONCE: Final = 500
LOOKED_BACK_US: Final = 2 * HOUR_US


class Lake(Protocol):
    """The lake, as far as it is asked here."""

    def rollups(self, tier: str, series_nos: Sequence[int], start_us: int, end_us: int) -> pa.Table:
        """Roll-ups whose bucket starts in the range."""


@dataclass(frozen=True, slots=True)
class Energies:
    """Energy of quarters, sorted by device and start; columns of one length."""

    device: Ints
    start_us: Ints
    micro_wh: Floats
    covered_us: Ints


def read_energies(lake: Lake, ground: Ground, device: Ints, start_us: int, end_us: int) -> Energies:
    """The energy of these devices by quarter."""
    device = device[ground.energy_series[device] > 0]
    series = ground.energy_series[device]
    rows = lake.rollups("15m", series.tolist(), start_us, end_us)
    order = np.argsort(series)
    place = np.searchsorted(series[order], rows["series_no"].to_numpy())
    owner = device[order][place] if len(device) else np.empty(0, np.int64)
    starts = rows["bucket"].to_numpy().astype(np.int64)
    sorting = np.lexsort((starts, owner))
    micro_wh, covered_us = rows["sum"].to_numpy(), rows["covered_us"].to_numpy()
    return Energies(owner[sorting], starts[sorting], micro_wh[sorting], covered_us[sorting])


@dataclass(slots=True)
class QuarterDetectors:
    """Watches energy."""

    ground: Ground = field(default_factory=Ground.empty)
    _lookers: dict[Kind, Lookers] = field(
        default_factory=lambda: {
            kind: Lookers.none(kind)
            for kind in ("high_consumption", "negative_consumption", "zero_consumption")
        }
    )
    _looked_us: int = 0

    def change(self, ground: Ground, now_us: int) -> list[Clearing]:
        """Takes newer facts; what is watched no longer is over."""
        self.ground = ground
        counts = ground.energy_series > 0
        consumes = counts & ~ground.produces()
        clearings: list[Clearing] = []
        for kind, lookers in self._lookers.items():
            device = np.flatnonzero(ground.is_on(kind) & (counts if kind == "high_consumption" else consumes))
            if kind == "zero_consumption":
                # The first quarter begins a quarter before it can be looked at.
                lasts_us = (ground.limit(kind, "for_s")[device] * MICROSECONDS).astype(np.int64) - QUARTER_US
                watches = make_watches(device, "<=", 0.0, 0.0, lasts_us)
            else:
                limit = ground.limit(kind, "limit_kwh")[device]
                watches = make_watches(device, ">" if kind == "high_consumption" else "<", limit, limit, 0)
            clearings += over_of(lookers, watches, ground, now_us)
        return clearings

    def restore(self, living: Sequence[LivingAlert]) -> None:
        """Takes over what was told before a restart; to be called after the first facts."""
        for lookers in self._lookers.values():
            lookers.restore(living)

    def read(self, lake: Lake, now_us: int) -> Energies:
        """The quarters to look at now; the first time as many as the longest detector needs."""
        longest_s = self.ground.limit("zero_consumption", "for_s").max(initial=0.0)
        first_us = now_us - round(longest_s * MICROSECONDS) - LOOKED_BACK_US
        start_us = max(first_us, self._looked_us - LOOKED_BACK_US) // QUARTER_US * QUARTER_US
        return read_energies(lake, self.ground, np.flatnonzero(self.ground.known), start_us, now_us)

    def look(self, energies: Energies, now_us: int) -> Found:
        """What the quarters that `read` gave say."""
        self._looked_us = now_us
        ends_us = energies.start_us + QUARTER_US
        known = energies.covered_us >= KNOWN_US
        ripe = (ends_us + SETTLED_US <= now_us) & (known | (ends_us + QUARTER_US <= now_us))
        kwh = energies.micro_wh / MICRO_PER_KWH
        is_off = self.ground.is_off[energies.device] if len(energies.device) else known
        values = {
            "high_consumption": (ripe, kwh),
            "negative_consumption": (ripe, kwh),
            "zero_consumption": (ripe & known, np.where(is_off, np.inf, np.abs(kwh))),
        }
        findings: list[Finding] = []
        clearings: list[Clearing] = []
        for kind, (rows, value) in values.items():
            lookers = self._lookers[kind]  # type: ignore[index]
            changes = lookers.look(energies.device[rows], energies.start_us[rows], value[rows])
            self._tell(lookers, changes, findings, clearings)
        return findings, clearings

    def _tell(
        self, lookers: Lookers, changes: Changes, findings: list[Finding], clearings: list[Clearing]
    ) -> None:
        kind = lookers.kind
        for place, watch in enumerate(changes.watch.tolist()):
            device = int(lookers.watches.series[watch])
            ends_us, value = int(changes.ts_us[place]) + QUARTER_US, float(changes.value[place])
            if not changes.is_raise[place]:
                clearings.append(Clearing(self.ground.key(kind, device), ends_us, value))
                continue
            limit = float(lookers.watches.limit[watch])
            above_w = (value - limit) * 4000 if kind == "high_consumption" else None
            findings.append(
                Finding(
                    self.ground.key(kind, device),
                    self.ground.severity(kind, device),
                    int(changes.since_us[place]),
                    ends_us,
                    ENERGY,
                    value,
                    None if kind == "zero_consumption" else limit,
                    above_w,
                )
            )


def learn_profiles(
    lake: Lake, ground: Ground, now_us: int, among: Ints | None = None
) -> Iterator[tuple[Ints, Floats, Floats]]:
    """Device numbers with the medians and spreads of their hours, some devices at a time; all, or some
    only."""
    metered = np.flatnonzero(ground.is_on("spike") & (ground.energy_series > 0))
    if among is not None:
        metered = np.intersect1d(metered, among)
    start_us = (now_us - LEARNT_DAYS * DAY_US) // QUARTER_US * QUARTER_US
    for begin in range(0, len(metered), DEVICES_AT_ONCE):
        device = metered[begin : begin + DEVICES_AT_ONCE]
        energies = read_energies(lake, ground, device, start_us, now_us)
        rows = energies.covered_us >= QUARTER_US // 2
        if not rows.any():
            continue
        owner, starts = energies.device[rows], energies.start_us[rows]
        power_w = energies.micro_wh[rows] / MICRO_PER_WH * HOUR_US / energies.covered_us[rows]
        hour = ground.local_us(owner, starts) // HOUR_US
        learnt = learn(np.searchsorted(device, owner), hour, power_w, len(device))
        told = ~np.isnan(learnt.median_w).all(axis=1)
        if told.any():
            yield device[told], learnt.median_w[told], learnt.spread_w[told]


def profile_of(parts: Sequence[tuple[Ints, Floats, Floats]], width: int) -> Profile:
    """What `learn_profiles` or PostgreSQL said, for looking up."""
    if not parts:
        return Profile.of(np.empty(0, np.int64), np.zeros((0, HOURS)), np.zeros((0, HOURS)), width)
    device, median, spread = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Profile.of(device, median, spread, width)
