"""Readings of homes as bodies: a span of one home as Arrow, a moment of many homes as JSON. Pure.

Keeps true: what surrounds one home changes nothing in another. What faults do is loaded with the first home
that is not as usual.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from kilowatch.clock import rfc3339
from kilowatch.period import MINUTE_US
from kilowatch.simulator.home.household import report
from kilowatch.simulator.home.moments import Floats, Int64s, Moments, moments_at
from kilowatch.wire.simulation import ROLES, STATES, PlayedDevice, PlayedHome

if TYPE_CHECKING:
    from kilowatch.simulator.fleet.rows import Circumstances

STEP_US = MINUTE_US
"""What lies behind is told by the minute."""
ARROW_TYPE, JSON_TYPE = "application/vnd.apache.arrow.stream", "application/json"

AroundOf = Callable[[PlayedHome], "Circumstances | None"]
"""What surrounds a home; None: all is as usual."""
Columns = tuple[npt.NDArray[np.int32], Int64s, dict[str, Floats]]
"""Places of devices in their home, times, and metrics; NaN: this reading does not have this metric."""


def steps(after_us: int, until_us: int) -> Int64s:
    """The full minutes after one moment, up to another."""
    return np.arange(after_us // STEP_US + 1, until_us // STEP_US + 1, dtype=np.int64) * STEP_US


def as_usual(_home: PlayedHome) -> None:
    """Nothing unusual surrounds any home."""


def history_body(home: PlayedHome, ts_us: Int64s, around: "Circumstances | None" = None) -> bytes:
    """Every device of a home at these times, oldest first within each device; empty where all are silent."""
    import pyarrow as pa  # many megabytes, which only a home's first minutes need

    device, told_us, found = _usual(home, ts_us) if around is None else _among(home, ts_us, around)
    ids = pa.array([one.id for one in home.devices])
    columns = {
        "device": pa.DictionaryArray.from_arrays(pa.array(device), ids),
        "ts": pa.array(told_us, pa.timestamp("us", "UTC")),
    }
    columns |= {name: pa.array(values, from_pandas=True) for name, values in found.items()}
    if not len(told_us):
        return b""
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def live_bodies(
    homes: Sequence[PlayedHome], ts_us: int, around_of: AroundOf = as_usual
) -> Iterator[tuple[PlayedHome, bytes]]:
    """Every device of these homes at one moment, a body for each home; all homes in which everything is as
    usual are worked out together. The body is empty where all devices of a home are silent."""
    calm = []
    for home in homes:
        around = around_of(home)
        if around is None:
            calm.append(home)
        else:
            yield home, _live_body_among(home, ts_us, around)
    if calm:
        yield from _calm_bodies(calm, ts_us)


def _calm_bodies(homes: Sequence[PlayedHome], ts_us: int) -> Iterator[tuple[PlayedHome, bytes]]:
    at = moments_at(
        [home.site_id for home in homes],
        [home.time_zone for home in homes],
        np.full(len(homes), ts_us, np.int64),
    )
    shown: dict[tuple[int, str], dict[str, float | str]] = {}
    for role in ROLES:
        mine = [(row, one) for row, home in enumerate(homes) for one in home.devices if one.role == role]
        if mine:
            rows = np.array([row for row, _ in mine])
            told = report(role, _rows(at, rows), set_codes([one.state for _, one in mine]))
            shown |= {(row, one.id): _shown(told, place) for place, (row, one) in enumerate(mine)}
    ts = rfc3339(ts_us)
    for row, home in enumerate(homes):
        readings = [_reading(one, ts, shown[row, one.id]) for one in home.devices]
        yield home, msgspec.json.encode(readings)


def _live_body_among(home: PlayedHome, ts_us: int, around: "Circumstances") -> bytes:
    device, told_us, found = _among(home, np.array([ts_us], np.int64), around)
    readings = []
    for place, number in enumerate(device.tolist()):
        told = {name: column for name, column in found.items() if not np.isnan(column[place])}
        readings.append(_reading(home.devices[number], rfc3339(int(told_us[place])), _shown(told, place)))
    return msgspec.json.encode(readings) if readings else b""


def _usual(home: PlayedHome, ts_us: Int64s) -> Columns:
    at = moments_at([home.site_id], [home.time_zone], ts_us)
    found = [report(one.role, at, set_codes([one.state] * len(ts_us))) for one in home.devices]
    rows, count = len(ts_us), len(home.devices)
    columns = {
        name: np.concatenate([one.get(name, np.full(rows, np.nan)) for one in found])
        for name in dict.fromkeys(name for one in found for name in one)
    }
    return np.repeat(np.arange(count, dtype=np.int32), rows), np.tile(ts_us, count), columns


def _among(home: PlayedHome, ts_us: Int64s, around: "Circumstances") -> Columns:
    from kilowatch.simulator.fleet.demo_home import DemoHome

    told = DemoHome(home).tell(ts_us, around)
    return told.device, told.ts_us, told.columns


def set_codes(states: Sequence[str]) -> npt.NDArray[np.int8]:
    """The states that somebody set, by their index."""
    return np.array([STATES.index(state) for state in states], np.int8)


def _rows(at: Moments, rows: npt.NDArray[np.intp]) -> Moments:
    return Moments(at.seed[rows], at.ts_us[rows], at.local_us[rows], at.southern[rows])


def _shown(told: dict[str, Floats], place: int) -> dict[str, float | str]:
    values: dict[str, float | str] = {name: float(column[place]) for name, column in told.items()}
    return values | {"state": STATES[int(told["state"][place])]}


def _reading(device: PlayedDevice, ts: str, metrics: dict[str, float | str]) -> dict[str, object]:
    return {"device": device.id, "ts": ts, "metrics": metrics}
