"""Points as files: CSV, Arrow and Parquet, the same rows as the JSON form, streamed piece by piece.

Keeps true that the rows come by series in the order asked for, ascending in time, and that no more than a
piece is held in memory. Numbers keep all their digits: what is read from Arrow or Parquet is bit-equal.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from kilowatch.errors import Problem
from kilowatch.telemetry.metric import ENERGY, ENERGY_METRIC
from kilowatch.telemetry.query import Lake, Points, SeriesPlan, Span, pieces_of, read_points
from kilowatch.units import MICRO_PER_WH

DATE_CHARS: Final = len("2026-10-25")

Form = Literal["json", "csv", "arrow", "parquet"]
SUFFIXES: Final[dict[Form, str]] = {"json": "json", "csv": "csv", "arrow": "arrows", "parquet": "parquet"}

JSON_TYPE: Final = "application/json"
MEDIA_TYPES: Final[dict[Form, str]] = {
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
SCHEMA: Final = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("ts", pa.timestamp("us", tz="UTC")),
        pa.field("value", pa.float64()),
        pa.field("state", pa.string()),
    ]
)


def choose_form(accept: str | None) -> Form | None:
    """The form that an `Accept` header likes best, JSON when it does not mind; None if it takes none."""
    if not accept:
        return "json"
    offered: dict[str, Form] = {JSON_TYPE: "json", **{kind: form for form, kind in MEDIA_TYPES.items()}}
    liked: list[tuple[float, Form]] = []
    for part in accept.split(","):
        kind, _, parameters = part.strip().partition(";")
        weight = _weight(parameters)
        form = offered.get(kind.strip().lower())
        if form is None and kind.strip().lower() in ("*/*", "application/*"):
            form = "json"
        if form is not None and weight > 0:
            liked.append((weight, form))
    return max(liked, key=lambda one: one[0])[1] if liked else None


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def format_times(ts_us: npt.NDArray[np.int64]) -> list[str]:
    """RFC 3339 of each time, with a fraction only where there is one."""
    texts = pa.array(ts_us).view(pa.timestamp("us")).cast(pa.string())
    apart = pc.binary_replace_slice(texts.cast(pa.binary()), DATE_CHARS, DATE_CHARS + 1, b"T").cast(
        pa.string()
    )
    short = pc.utf8_rtrim(pc.utf8_rtrim(apart, "0"), ".")
    formatted: list[str] = pc.binary_join_element_wise(short, "Z", "").to_pylist()
    return formatted


def show_values(points: Points) -> Sequence[float | str]:
    """Values as they are shown: states by name, all else as numbers."""
    states = points.plan.ref.states
    if not states:
        values: list[float] = points.value.tolist()
        return values
    return [
        states[place] if 0 <= place < len(states) else str(place)
        for place in points.value.astype(np.int64).tolist()
    ]


def rows_of_points(device: str, points: Points) -> pa.RecordBatch:
    """The points of one series as rows; `value` of a state metric is its index, `state` its name."""
    ref, size = points.plan.ref, len(points.ts_us)
    states = pa.array(show_values(points), pa.string()) if ref.states else pa.nulls(size, pa.string())
    columns = [
        pa.repeat(pa.scalar(device, pa.string()), size),
        pa.repeat(pa.scalar(ref.metric, pa.string()), size),
        pa.repeat(pa.scalar(ref.unit, pa.string()), size),
        pa.array(points.ts_us).cast(pa.timestamp("us", tz="UTC")),
        pa.array(points.value),
        states,
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def rows_of_energy(
    device: str, bucket_us: npt.NDArray[np.int64], energy_uwh: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    """The energy of a device by bucket as rows, in Wh."""
    size = len(bucket_us)
    columns = [
        pa.repeat(pa.scalar(device, pa.string()), size),
        pa.repeat(pa.scalar(ENERGY, pa.string()), size),
        pa.repeat(pa.scalar(ENERGY_METRIC.unit, pa.string()), size),
        pa.array(bucket_us).cast(pa.timestamp("us", tz="UTC")),
        pa.array(energy_uwh / MICRO_PER_WH),
        pa.nulls(size, pa.string()),
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def read_rows(lake: Lake, device: str, plans: Sequence[SeriesPlan], span: Span) -> Iterator[pa.RecordBatch]:
    """The rows of every series, a piece at a time; blocks on the lake between them."""
    for plan in plans:
        for piece in pieces_of(lake, plan, span):
            (points,) = read_points(lake, [plan], piece)
            if len(points.ts_us):
                yield rows_of_points(device, points)


def require_form(accept: str | None) -> Form:
    """The form that an `Accept` header likes best.

    Raises:
        Problem: 406 `not_acceptable` if it takes none.
    """
    form = choose_form(accept)
    if form is None:
        kinds = ", ".join([JSON_TYPE, *MEDIA_TYPES.values()])
        raise Problem(406, "not_acceptable", f"Readings come as {kinds}.")
    return form


def write_form(form: Form, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The file, chunk by chunk as it grows."""
    match form:
        case "csv":
            return _write_csv(batches)
        case "arrow":
            return _write_arrow(batches)
        case "parquet":
            return _write_parquet(batches)
        case "json":
            raise ValueError("JSON is not a table form")


def _write_csv(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    yield b"device,metric,unit,ts,value\n"
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in batches:
        shown = pa.table(
            {
                "device": batch["device"],
                "metric": batch["metric"],
                "unit": batch["unit"],
                "ts": pa.array(format_times(batch["ts"].cast(pa.int64()).to_numpy())),
                "value": _csv_values(batch),
            }
        )
        sink = io.BytesIO()
        pa_csv.write_csv(shown, sink, options)
        yield sink.getvalue()


def _csv_values(batch: pa.RecordBatch) -> pa.Array:
    """A state's name or else the number, shortest text that reads back to the same number."""
    if batch["state"].null_count == len(batch):
        return batch["value"]
    return pa.array([name if name is not None else "" for name in batch["state"].to_pylist()], pa.string())


class _Drain(io.RawIOBase):
    """A sink that a writer fills and `take` empties, so that a growing file is never held whole."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        chunk = bytes(data)
        self._chunks.append(chunk)
        self._size += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        """What was written since the last call."""
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken


def _write_arrow(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    drain = _Drain()
    with pa.ipc.new_stream(drain, SCHEMA) as writer:
        yield drain.take()
        for batch in batches:
            writer.write_batch(batch)
            yield drain.take()
    yield drain.take()


def _write_parquet(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    drain = _Drain()
    with pq.ParquetWriter(drain, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield drain.take()
    yield drain.take()
