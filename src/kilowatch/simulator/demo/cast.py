"""The three devices of the demo: who they are and what they report. Pure, but for opening the packaged files.

Between them they report energy in each of the ways that meters do: the house as energy per hour, the plant as
a running register, the grid point as power alone. Told something, the house does it at once, the plant after
a moment, and the grid point refuses.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.simulator.demo.loop import WEEK_US, Loop
from kilowatch.simulator.demo.recording import (
    HOUR_US,
    Recording,
    open_source,
    read_grid,
    read_house,
    read_plant,
)
from kilowatch.simulator.pretend.device import Manner

Floats = npt.NDArray[np.float64]

SITE = {
    "kind": "area",
    "name": "Demo: three real meters",
    "time_zone": "Europe/Amsterdam",
    "currency": "EUR",
    "region": "demo",
}
HIGHEST = {"power_factor": 1.0}
"""What a value that strays is held at."""
LOAD_TYPE_NAMES = ("light", "medium", "maximum")


@dataclass(frozen=True, slots=True)
class Role:
    """A device and what it plays.

    Args:
        fields: the device's fields in the API, `id` included.
        loop: what it reports at each step.
        live: the metrics that it also reports between steps, with the share by which each may stray.
        digits: decimals of each metric's values.
        manner: how it answers commands.
    """

    fields: dict[str, Any]
    loop: Loop
    live: dict[str, float]
    digits: dict[str, int]
    manner: Manner = "prompt"

    @property
    def id(self) -> str:
        """The device's id."""
        return str(self.fields["id"])


def load_cast() -> list[Role]:
    """The house, the plant and the grid point."""
    return [_house(), _plant(), _grid()]


def whole_weeks(recording: Recording, weeks: int, columns: dict[str, Floats]) -> dict[str, Floats]:
    """The first `weeks` weeks of columns that belong to a recording."""
    rows = weeks * WEEK_US // recording.step_us
    if rows > len(recording):
        raise ValueError(f"the recording is shorter than {weeks} weeks")
    return {name: column[:rows] for name, column in columns.items()}


def _house() -> Role:
    """157 weeks, so that each round begins at almost the same time of the year."""
    recording = read_house(open_source("house.csv.gz"))
    kwh = recording.columns["energy_kwh"]
    columns = {"energy_interval": kwh, "power": kwh * 1000.0}
    fields = {
        "id": "house",
        "name": "House in British Columbia",
        "type": "meter",
        "room": "Meter cupboard",
        "icon": "home",
        "rated_power_w": 15_000.0,
        "idle_threshold_w": 150.0,
        "metadata": {"source": "HUE, residence 1", "licence": "CC BY 4.0", "energy": "per hour"},
    }
    loop = Loop(recording.first_us, recording.step_us, whole_weeks(recording, 157, columns), {})
    return Role(fields, loop, {"power": 0.04}, {"energy_interval": 3, "power": 1})


def _plant() -> Role:
    """52 weeks; 31 December is left out, because a year is a day longer than its weeks."""
    recording = read_plant(open_source("plant.csv.gz"))
    source = recording.columns
    per_hour = HOUR_US / recording.step_us
    columns = {
        "power": source["energy_kwh"] * per_hour * 1000.0,
        "reactive_energy_lagging_interval": source["lagging_kvarh"],
        "reactive_energy_leading_interval": source["leading_kvarh"],
        "power_factor": source["power_factor_percent"] / 100.0,
        "co2_interval": source["co2_t"],
        "load_type": source["load_type"],
    }
    fields = {
        "id": "plant",
        "name": "Steel plant",
        "type": "meter",
        "room": "Transformer house",
        "icon": "factory",
        "rated_power_w": 700_000.0,
        "idle_threshold_w": 20_000.0,
        "metadata": {"source": "UCI, Steel Industry", "licence": "CC BY 4.0", "energy": "running register"},
    }
    loop = Loop(
        recording.first_us,
        recording.step_us,
        whole_weeks(recording, 52, columns),
        whole_weeks(recording, 52, {"energy": source["energy_kwh"]}),
    )
    digits = {"power": 0, "power_factor": 4, "co2_interval": 2, "energy": 4}
    return Role(fields, loop, {"power": 0.015, "power_factor": 0.004, "energy": 0.0}, digits, "slow")


def _grid() -> Role:
    """16 weeks: the last days of the source have no load."""
    recording = read_grid(open_source("grid.csv.gz"))
    source = recording.columns
    columns = {
        "power": source["load"] * 1e6,
        "temperature": source["temp"],
        "wind_speed": source["windspeed"],
        "wind_direction": source["winddeg"],
        # The source counts joules per square metre and hour.
        "irradiance": np.maximum(source["radiation"], 0.0) / 3600.0,
        "humidity": source["humidity"] * 100.0,
        "pressure": source["pressure"] / 100.0,
    }
    fields = {
        "id": "grid-point",
        "name": "Dutch grid point",
        "type": "meter",
        "room": "Substation",
        "icon": "tower",
        "rated_power_w": 15_000_000.0,
        "metadata": {"source": "OpenSTEF, series 287", "licence": "MPL-2.0", "energy": "from power"},
    }
    loop = Loop(recording.first_us, recording.step_us, whole_weeks(recording, 16, columns), {})
    digits = {"power": 0, "temperature": 2, "wind_speed": 2, "wind_direction": 0, "irradiance": 1}
    live = {"power": 0.01, "temperature": 0.0, "wind_speed": 0.08, "irradiance": 0.02}
    return Role(fields, loop, live, digits | {"humidity": 1, "pressure": 1}, "refusing")


def value_shown(metric: str, value: float, digits: dict[str, int]) -> float | str:
    """A value as the device sends it: rounded, or the name of its state."""
    if metric == "load_type":
        return LOAD_TYPE_NAMES[round(value)]
    return round(min(value, HIGHEST.get(metric, value)), digits.get(metric, 3))


def stray(metric: str, moment_us: int) -> float:
    """How far a metric strays at a moment, from -1 to 1; always the same for the same two."""
    seed = [moment_us // 1000, *metric.encode()]
    return float(np.clip(np.random.default_rng(seed).normal(0.0, 0.5), -1.0, 1.0))
