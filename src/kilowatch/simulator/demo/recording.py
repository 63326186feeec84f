"""The three sources as they were published, read into even columns.

Owns what is known about each source's clock: the house stamps the end of an hour in the time of Vancouver,
the plant the end of a quarter of an hour with midnight under the old date, the grid point in UTC. Keeps true
that every value of a source is taken exactly once. Pure, but for opening the packaged files.
"""

import csv
import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilowatch.clock import to_us

Floats = npt.NDArray[np.float64]
Row = Mapping[str, str]

HOUR_US = 3_600_000_000
QUARTER_HOUR_US = HOUR_US // 4
LOAD_TYPES = {"Light_Load": 0.0, "Medium_Load": 1.0, "Maximum_Load": 2.0}

VANCOUVER = ZoneInfo("America/Vancouver")
VANCOUVER_TO_SITE = timedelta(hours=-9)
"""Eighteen o'clock in Vancouver becomes eighteen o'clock at a site nine hours further east."""
PLANT_CLOCK = timedelta(hours=-1)
"""The plant's clock is read as Central European standard time, all year round."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Values at even steps; NaN where the source has none."""

    first_us: int
    """Time of the first row, epoch microseconds, a multiple of the step."""
    step_us: int
    columns: dict[str, Floats]
    """By the source's own names, in the source's own units."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def open_source(name: str) -> Iterable[Row]:
    """The rows of a packaged file, such as `house.csv.gz`."""
    packed = resources.files(__package__).joinpath(name).read_bytes()
    return csv.DictReader(gzip.decompress(packed).decode().splitlines())


def read_house(rows: Iterable[Row]) -> Recording:
    """kWh per hour. The hour that the clock repeats in autumn is two hours; an hour that the file repeats on
    another day is a repeat."""
    moments: list[int] = []
    energy: list[float] = []
    seen: set[int] = set()
    for row in rows:
        month, day, year = map(int, row["date"].split("/"))
        local = datetime(year, month, day, int(row["hour"]), tzinfo=VANCOUVER)
        moment = to_us(local.astimezone(UTC) + VANCOUVER_TO_SITE)
        if moment in seen:
            moment = to_us(local.replace(fold=1).astimezone(UTC) + VANCOUVER_TO_SITE)
        if moment not in seen:
            seen.add(moment)
            moments.append(moment)
            energy.append(float(row["energy_kWh"]))
    return _even(moments, HOUR_US, {"energy_kwh": energy})


def read_plant(rows: Iterable[Row]) -> Recording:
    """kWh per quarter of an hour, stamped at its end."""
    names = {
        "energy_kwh": "Usage_kWh",
        "lagging_kvarh": "Lagging_Current_Reactive.Power_kVarh",
        "leading_kvarh": "Leading_Current_Reactive_Power_kVarh",
        "co2_t": "CO2(tCO2)",
        "power_factor_percent": "Lagging_Current_Power_Factor",
    }
    moments: list[int] = []
    columns: dict[str, list[float]] = {name: [] for name in (*names, "load_type")}
    for row in rows:
        moments.append(to_us(plant_moment(row["date"]) + PLANT_CLOCK))
        for name, theirs in names.items():
            columns[name].append(float(row[theirs]))
        columns["load_type"].append(LOAD_TYPES[row["Load_Type"]])
    return _even(moments, QUARTER_HOUR_US, columns)


def plant_moment(stamp: str) -> datetime:
    """End of the interval that the plant's file calls `day/month/year hour:minute`, on the plant's clock.

    The interval that ends at midnight carries the date of the day that it closes, so it belongs to the next.
    """
    date, time = stamp.split(" ")
    day, month, year = map(int, date.split("/"))
    hour, minute = map(int, time.split(":"))
    midnight = hour == 0 and minute == 0
    return datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(days=1 if midnight else 0)


def read_grid(rows: Iterable[Row]) -> Recording:
    """Load in MW and the weather, in UTC; empty fields are missing."""
    names = ("load", "radiation", "temp", "winddeg", "windspeed", "pressure", "humidity")
    moments: list[int] = []
    columns: dict[str, list[float]] = {name: [] for name in names}
    for row in rows:
        moments.append(to_us(datetime.fromisoformat(row["index"])))
        for name in names:
            columns[name].append(float(row[name] or "nan"))
    return _even(moments, QUARTER_HOUR_US, columns)


def _even(moments: list[int], step_us: int, columns: Mapping[str, list[float]]) -> Recording:
    """Puts each row at its step.

    Raises:
        ValueError: if a moment is off the steps or there twice.
    """
    first = min(moments)
    at, off = np.divmod(np.array(moments, np.int64) - first, step_us)
    if off.any() or first % step_us or len(np.unique(at)) < len(at):
        raise ValueError("the source's times do not lie on its steps, or lie there twice")
    even = {}
    for name, values in columns.items():
        column = np.full(int(at.max()) + 1, np.nan)
        column[at] = values
        even[name] = column
    return Recording(first, step_us, even)
