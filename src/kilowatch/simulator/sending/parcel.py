"""Readings as bodies for the doors: Arrow, JSON, and messages of MQTT. Pure.

Keeps true: a body holds each reading of its rows once, and leaves out what a reading does not have.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa

from kilowatch.clock import rfc3339
from kilowatch.simulator.fleet.rows import Readings
from kilowatch.simulator.home.readings import ARROW_TYPE, JSON_TYPE
from kilowatch.wire.simulation import STATES

Form = Literal["arrow", "json", "mqtt"]
MEDIA: dict[Form, str] = {"arrow": ARROW_TYPE, "json": JSON_TYPE}
BODY_ROWS: dict[Form, int] = {"arrow": 20_000, "json": 5_000, "mqtt": 500}
"""Readings in one parcel."""
STATE = "state"


@dataclass(slots=True)
class Parcel:
    """Readings on their way. messages: of MQTT, device and payload; `done` tells which have arrived; number:
    its place in the order, given by the outbox."""

    readings: int
    body: bytes = b""
    media: str = ""
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    number: int = 0


def make_parcel(ids: pa.StringArray, readings: Readings, form: Form) -> Parcel:
    """A parcel of these readings; `ids` are the names of all devices by their place."""
    if form == "arrow":
        return Parcel(len(readings), _arrow(ids, readings), MEDIA[form])
    names, rows = ids.take(pa.array(readings.device)).to_pylist(), _metrics(readings)
    moments = [rfc3339(ts) for ts in readings.ts_us.tolist()]
    if form == "json":
        told = [
            {"device": name, "ts": ts, "metrics": row}
            for name, ts, row in zip(names, moments, rows, strict=True)
        ]
        return Parcel(len(readings), msgspec.json.encode(told), MEDIA[form])
    messages = [
        (name, msgspec.json.encode({"ts": ts, "metrics": row}))
        for name, ts, row in zip(names, moments, rows, strict=True)
    ]
    return Parcel(len(readings), messages=messages)


def as_batch(ids: pa.StringArray, readings: Readings) -> pa.RecordBatch:
    """The readings as the Arrow door takes them: `device`, `ts`, and one column for each metric."""
    first, last = int(readings.device.min()), int(readings.device.max())
    if last - first < 4 * len(readings):
        names, places = ids.slice(first, last - first + 1), readings.device - np.int32(first)
    else:
        found, inverse = np.unique(readings.device, return_inverse=True)
        names, places = ids.take(pa.array(found)), inverse.astype(np.int32)
    columns = {
        "device": pa.DictionaryArray.from_arrays(pa.array(places), names),
        "ts": pa.array(readings.ts_us, pa.timestamp("us", "UTC")),
    }
    for name, values in readings.columns.items():
        if not np.isnan(values).all():
            columns[name] = pa.array(values, from_pandas=True)
    return pa.record_batch(columns)


def _arrow(ids: pa.StringArray, readings: Readings) -> bytes:
    batch = as_batch(ids, readings)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _metrics(readings: Readings) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = [{} for _ in range(len(readings))]
    for name, column in readings.columns.items():
        there = np.flatnonzero(~np.isnan(column))
        for place, value in zip(there.tolist(), column[there].tolist(), strict=True):
            rows[place][name] = STATES[int(value)] if name == STATE else value
    return rows
