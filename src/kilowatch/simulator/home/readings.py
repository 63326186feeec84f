"""Readings of homes as bodies: a span of one home as Arrow, a moment of many homes as JSON. Pure."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from kilowatch.clock import rfc3339
from kilowatch.period import MINUTE_US
from kilowatch.simulator.home.household import report
from kilowatch.simulator.home.moments import Floats, Int64s, Moments, moments_at
from kilowatch.wire.simulation import ROLES, STATES, PlayedDevice, PlayedHome

STEP_US = MINUTE_US
"""What lies behind is told by the minute."""
ARROW_TYPE, JSON_TYPE = "application/vnd.apache.arrow.stream", "application/json"


def steps(after_us: int, until_us: int) -> Int64s:
    """The full minutes after one moment, up to another."""
    return np.arange(after_us // STEP_US + 1, until_us // STEP_US + 1, dtype=np.int64) * STEP_US


def history_body(home: PlayedHome, ts_us: Int64s) -> bytes:
    """Every device of a home at these times, oldest first within each device."""
    import pyarrow as pa  # many megabytes, which only a home's first minutes need

    at = moments_at([home.site_id], [home.time_zone], ts_us)
    found = [report(one.role, at, set_codes([one.state] * len(ts_us))) for one in home.devices]
    rows = len(ts_us)
    ids = pa.array([one.id for one in home.devices])
    numbers = pa.array(np.repeat(np.arange(len(home.devices), dtype=np.int32), rows))
    columns = {
        "device": pa.DictionaryArray.from_arrays(numbers, ids),
        "ts": pa.array(np.tile(ts_us, len(home.devices)), pa.timestamp("us", "UTC")),
    }
    for name in dict.fromkeys(name for one in found for name in one):
        values = np.concatenate([one.get(name, np.full(rows, np.nan)) for one in found])
        columns[name] = pa.array(values, from_pandas=True)
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def live_bodies(homes: Sequence[PlayedHome], ts_us: int) -> Iterator[tuple[PlayedHome, bytes]]:
    """Every device of these homes at one moment, a body for each home; all homes are worked out together."""
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


def set_codes(states: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.int8]]":
    """The states that somebody set, by their index."""
    return np.array([STATES.index(state) for state in states], np.int8)


def _rows(at: Moments, rows: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Moments:
    return Moments(at.seed[rows], at.ts_us[rows], at.local_us[rows], at.southern[rows])


def _shown(told: dict[str, Floats], place: int) -> dict[str, float | str]:
    values: dict[str, float | str] = {name: float(column[place]) for name, column in told.items()}
    return values | {"state": STATES[int(told["state"][place])]}


def _reading(device: PlayedDevice, ts: str, metrics: dict[str, float | str]) -> dict[str, object]:
    return {"device": device.id, "ts": ts, "metrics": metrics}
