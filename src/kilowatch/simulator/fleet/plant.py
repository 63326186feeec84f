"""A plant of machines: motors, pumps, compressors and presses, which wear and fail. Pure.

Streams that move it: `plant.output`, `plant.power`, `plant.voltage`, `plant.hall.temperature`, and of
compressors alone `plant.compressor.temperature` and `.vibration`. Each machine works in shifts, warms up with
what it did in the last half hour, and wears: after weeks of good service it grows hotter, shakier and
thirstier for days, fails, stands still until it is repaired, and begins anew. Keeps true: power is voltage
times current times power factor unless a fault says otherwise, and the metric `label` (see `LABELS`) is the
truth, for learning.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from kilowatch.period import DAY_US, HOUR_US, MINUTE_US
from kilowatch.simulator.engine.chance import as_share
from kilowatch.simulator.fleet.faults import AMBIENT_C, DEFAULTS, show_wear, strikes, wear_at
from kilowatch.simulator.fleet.rows import Circumstances, Int32s, Roster, device_seeds, rounded
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, Moments, counted, moments_at

TYPES = ("motor", "pump", "compressor", "press")
COMPRESSORS = ("temperature", "vibration")
"""What streams tell of compressors alone."""
LABELS = ("normal", "overheat", "voltage_spike", "current_surge", "wear", "failed")
ZONE = "Europe/Berlin"
RATED_W = np.array([450.0, 380.0, 480.0, 420.0])
POWER_FACTOR = np.array([0.86, 0.84, 0.88, 0.8])
IDLE = np.array([0.12, 0.08, 0.25, 0.15])
"""What a machine draws while it waits, as a part of what it is rated for."""
SHIFT_H = (6.0, 22.0)
LOAD_BLOCK_US = 10 * MINUTE_US
LAGS_US = tuple(minutes * MINUTE_US for minutes in (0, 4, 9, 16, 26))
LAG_WEIGHTS = (0.15, 0.25, 0.25, 0.2, 0.15)
"""How much of its warmth a machine has from its load so long ago."""
LIFE_DAYS, LIFE_SPREAD_DAYS = 45.0, 75.0
WEARING_DAYS, REPAIR_US = 7.0, 9 * HOUR_US
WORN = 0.05
"""From here on wear is called wear."""


class Plant:
    """Machines by their number."""

    metrics: tuple[str, ...] = (
        "voltage",
        "current",
        "power_factor",
        "power",
        "temperature",
        "vibration",
        "label",
    )
    own_faults: frozenset[str] = frozenset()

    def __init__(
        self, machines: int, seed: int, regions: Sequence[str] = ("hall",), zone: str = ZONE
    ) -> None:
        regions = tuple(regions) or ("hall",)
        seeds = device_seeds("plant", seed, machines)
        number = np.arange(machines)
        kind = (number % len(TYPES)).astype(np.int16)
        self._kind = kind
        self._rated_w = RATED_W[kind] * (0.85 + 0.3 * as_share(counted(seeds, "size", 0)))
        self._zone = zone
        self._life_us = (
            (LIFE_DAYS + LIFE_SPREAD_DAYS * as_share(counted(seeds, "life", 0))) * DAY_US
        ).astype(np.int64)
        self._first_us = (as_share(counted(seeds, "first life", 0)) * self._life_us).astype(np.int64)
        region = (number % len(regions)).astype(np.int16)
        self.roster = Roster(
            "machine", regions, TYPES, region, np.zeros(machines, np.int16), kind, self._rated_w, seeds
        )

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """Volts, amperes, watts, degrees, the power factor, vibration in mm/s, and `label`."""
        if not len(ts_us):
            return {}
        at = self._moments(device, ts_us)
        output, drawn = (around.ratios(f"plant.{name}", ts_us) for name in ("output", "power"))
        loads = [self._load(device, self._moments(device, ts_us - lag)) for lag in LAGS_US]
        works, load = (np.minimum(loads[0] * ratio, 1.15) for ratio in (output, drawn))
        warmth = reduce(np.add, [weight * one for weight, one in zip(LAG_WEIGHTS, loads, strict=True)])
        net = 231.5 + 2.0 * (at.drift("net", 3600.0) - 0.5)
        supply = (net - 2.5 * load + 1.6 * at.noise("voltage")) * around.ratios("plant.voltage", ts_us)
        voltage = rounded(supply, 2)
        factor = POWER_FACTOR[self._kind[device]] * (0.72 + 0.28 * np.minimum(load, 1.0) ** 0.5)
        factor = rounded(np.clip(factor + 0.008 * at.noise("power factor"), 0.0, 1.0), 3)
        wanted_w = self._rated_w[device] * load * (1.0 + 0.03 * at.noise("power"))
        current = rounded(wanted_w / (voltage * factor), 3)
        room = AMBIENT_C + 3.0 * np.cos(2 * np.pi * (at.season - 0.55)) + 1.5 * at.drift("room", 4 * 3600.0)
        room = room * around.ratios("plant.hall.temperature", ts_us)
        heat, shaking = (self._of_compressors(device, ts_us, name, around) for name in COMPRESSORS)
        columns = {
            "voltage": voltage,
            "current": current,
            "power_factor": factor,
            "power": rounded(voltage * current * factor, 2),
            "temperature": rounded((room + 30.0 * warmth + 0.5 * at.noise("temperature")) * heat, 2),
            "vibration": rounded((0.4 + 1.8 * works + 0.25 * at.noise("vibration")) * shaking, 2),
        }
        worn, failed = self.wear(device, ts_us)
        show_wear(columns, worn, failed)
        columns["label"] = self._labels(device, ts_us, worn, failed, around)
        return columns

    def _of_compressors(
        self, device: Int32s, ts_us: Int64s, name: str, around: Circumstances
    ) -> "Floats | float":
        """How far something of compressors is from usual; other machines are as they are."""
        ratio = around.ratios(f"plant.compressor.{name}", ts_us)
        return np.where(self._kind[device] == TYPES.index("compressor"), ratio, 1.0)

    def wear(self, device: Int32s, ts_us: Int64s) -> tuple[Floats, Mask]:
        """How worn each machine is by itself, and whether it has failed and waits for its repair."""
        life_us = self._life_us[device]
        age_us = (ts_us + self._first_us[device]) % life_us
        left_us = life_us - REPAIR_US - age_us
        failed = left_us <= 0
        grown = 1.0 - left_us / (WEARING_DAYS * DAY_US)
        return np.where(failed, 0.0, wear_at(grown)), failed

    def _moments(self, device: Int32s, ts_us: Int64s) -> Moments:
        here = moments_at(["plant"], [self._zone], ts_us)
        return Moments(self.roster.seed[device], ts_us, here.local_us, here.southern)

    def _load(self, device: Int32s, at: Moments) -> Floats:
        """What a machine draws, as a part of what it is rated for."""
        block = at.ts_us // LOAD_BLOCK_US
        in_shift = (at.hour >= SHIFT_H[0]) & (at.hour < SHIFT_H[1])
        busy = np.where(in_shift, np.where(at.is_weekend, 0.3, 0.86), np.where(at.is_weekend, 0.06, 0.2))
        works = at.chance("works", block) < busy
        level = 0.55 + 0.4 * at.drift("level", 1500.0)
        return np.where(works, level, IDLE[self._kind[device]])

    def _labels(
        self, device: Int32s, ts_us: Int64s, worn: Floats, failed: Mask, around: Circumstances
    ) -> Floats:
        label = np.where(failed, LABELS.index("failed"), np.where(worn > WORN, LABELS.index("wear"), 0))
        truth = label.astype(np.float64)
        for what in around.faults:
            if what.kind not in LABELS:
                continue
            rows = np.flatnonzero(strikes(what, self.roster, device, ts_us))
            truth[rows] = LABELS.index(what.kind)
            if what.kind == "wear":
                over = what.lasted_us(ts_us[rows]) + HOUR_US >= (what.value or DEFAULTS["wear"]) * DAY_US
                truth[rows[over]] = LABELS.index("failed")
        return truth
