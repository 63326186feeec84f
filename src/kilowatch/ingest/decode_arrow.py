"""Arrow streams as columns: `device`, `ts`, and one column per metric.

Keeps true that a null is an absent value and that everything else is checked: a value that is not finite, a
missing device or an impossible time rejects its own row; a column of a type that can hold no readings refuses
the body with the column's name. Columns may be read-only views of the body.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kilowatch.errors import Fault, Problem
from kilowatch.ingest.batch import (
    Batch,
    Draft,
    Floats,
    Int32s,
    Int64s,
    Limits,
    Mask,
    Rows,
    StateCell,
    finish,
    shown,
)
from kilowatch.ingest.moments import FAR_US, TIME_FAULT, parse_cells
from kilowatch.ingest.names import NAME_BYTES, NameTable, words_in
from kilowatch.ingest.rows import MOST_CELLS, places_of

DEVICE, TIME = "device", "ts"
MOST_ROWS = 1 << 22
MOST_BYTES = 1 << 28

_UNIT_US = {"s": 1_000_000, "ms": 1000, "us": 1}


def decode_arrow(body: bytes, limits: Limits, known: NameTable) -> Batch:
    """The readings of an Arrow IPC stream of any number of record batches.

    Raises:
        Problem: 400 if the body is no Arrow stream, 413 if it unpacks to too much, 422 if its columns cannot
            hold readings.
    """
    table = _table_of(body)
    device, names, absent = _devices(table.column(DEVICE), known)
    draft = Draft(
        device,
        names,
        np.full(len(device), limits.now_us, np.int64),
        {},
        np.arange(len(device), dtype=np.int32),
        lambda row: _payload(table, row),
        looked_up=True,
    )
    draft.blame(absent, "bad_shape", "no device")
    for name in table.schema.names:
        if name not in (DEVICE, TIME):
            _add_metric(draft, name, table.column(name))
    _blame_empty(draft)
    if TIME in table.schema.names:
        _set_times(draft, table.column(TIME))
    return finish(draft, limits, known)


def _table_of(body: bytes) -> pa.Table:
    try:
        with pa.ipc.open_stream(body) as reader:
            _check_schema(reader.schema)
            batches, rows, size = [], 0, 0
            for batch in reader:
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if (
                    max(rows, rows * batch.num_columns * MOST_ROWS // MOST_CELLS) > MOST_ROWS
                    or size > MOST_BYTES
                ):
                    raise Problem(
                        413, "too_large", "the stream unpacks to too many readings; send fewer at once"
                    )
                batch.validate(full=True)
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema).unify_dictionaries().combine_chunks()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise Problem(400, "malformed", f"the body is no Arrow stream: {shown(reason, 200)}") from error


def _check_schema(schema: pa.Schema) -> None:
    """Refuses columns that cannot hold readings, all of them at once."""
    faults = []
    if DEVICE not in schema.names:
        faults.append(_fault(DEVICE, "there is no column device"))
    if len(set(schema.names)) < len(schema.names):
        faults.append(_fault("", "two columns have the same name"))
    for field in schema:
        if field.name == DEVICE and not _is_text(field.type):
            faults.append(_fault(DEVICE, f"device is {field.type}, not a string or a dictionary of strings"))
        elif field.name == TIME and not _is_time(field.type):
            faults.append(_fault(TIME, f"ts is {field.type}, not a timestamp or integer milliseconds"))
        elif not (field.name in (DEVICE, TIME) or _is_value(field.type)):
            faults.append(_fault(field.name, f"{shown(field.name)} is {field.type}, not numbers or states"))
    if faults:
        raise Problem(422, "bad_shape", "; ".join(fault.detail for fault in faults), faults)


def _fault(column: str, detail: str) -> Fault:
    return Fault("bad_shape", detail, pointer=f"/{column}")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_timestamp(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind) or _is_text(kind)
    )


def _is_value(kind: pa.DataType) -> bool:
    types = pa.types
    return _is_text(kind) or any(
        test(kind)
        for test in (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal, types.is_null)
    )


def _devices(column: pa.ChunkedArray, known: NameTable) -> tuple[Int32s, list[str], Rows]:
    """Device numbers, the names that are not known, and the rows without a name."""
    array = column.combine_chunks()
    coded = pa.types.is_dictionary(array.type)
    names = (array.dictionary if coded else array).cast(pa.string())
    numbers = _look_up(names, known)
    unknown = np.flatnonzero(numbers < 0)
    fresh, places = places_of(
        ["" if name is None else name for name in names.take(pa.array(unknown)).to_pylist()]
    )
    numbers[unknown] = ~places
    if coded:
        where = pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)
        numbers = numbers[where] if len(numbers) else np.zeros(len(array), np.int32)
    absent = array.is_null().to_numpy(zero_copy_only=False)
    if "" in fresh:
        absent |= numbers == ~fresh.index("")
    numbers[absent] = 0
    return numbers, fresh, np.flatnonzero(absent)


def _look_up(names: pa.StringArray, known: NameTable) -> Int32s:
    """Device numbers, -1 where a name is not known; what stands for null does not matter."""
    _, offsets, data = names.buffers()
    if not len(names) or data is None:
        return np.full(len(names), -1, np.int32)
    ends = np.frombuffer(offsets, np.int32)[names.offset : names.offset + len(names) + 1].astype(np.int64)
    text = np.zeros(int(ends[-1]) + NAME_BYTES + 8, np.uint8)
    text[: ends[-1]] = np.frombuffer(data, np.uint8)[: ends[-1]]
    lengths = np.diff(ends)
    if not text[ends[0] : ends[-1]].all():
        return known.find_names(["" if name is None else name for name in names.to_pylist()])
    numbers = known.find(words_in(text, ends[:-1], lengths))
    numbers[lengths > NAME_BYTES] = -1
    return numbers


def _add_metric(draft: Draft, name: str, column: pa.ChunkedArray) -> None:
    if column.null_count == len(column):
        return
    array = column.combine_chunks()
    if _is_text(array.type):
        texts = enumerate(array.to_pylist())
        draft.states.extend(StateCell(row, name, text) for row, text in texts if text is not None)
        return
    values = _floats(array)
    finite = np.isfinite(values)
    if not finite.all():
        wrong = ~finite
        if array.null_count:
            wrong &= _valid(array)
        rows = np.flatnonzero(wrong)
        draft.blame(rows, "not_finite", f"{shown(name)} is not finite")
        if len(rows):
            values = np.where(finite, values, np.nan)
    draft.columns[name] = values


def _floats(array: Any) -> Floats:
    """Values as doubles, NaN for null."""
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    elif pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    values: Floats = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _valid(array: Any) -> Mask:
    valid: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _blame_empty(draft: Draft) -> None:
    empty = np.ones(len(draft.device), np.bool_)
    for column in draft.columns.values():
        if not empty.any():
            return
        empty &= column != column
    empty[[cell.row for cell in draft.states]] = False
    draft.blame(np.flatnonzero(empty), "bad_shape", "no metrics")


def _set_times(draft: Draft, column: pa.ChunkedArray) -> None:
    """Overwrites the times of all rows that have one."""
    if column.null_count == len(column):
        return
    array = column.combine_chunks()
    if _is_text(array.type):
        draft.ts_us, bad = parse_cells(array.to_pylist(), int(draft.ts_us[0]))
        draft.blame(bad, "bad_timestamp", TIME_FAULT)
        return
    ts_us = _microseconds(array)
    draft.ts_us = np.where(_valid(array), ts_us, draft.ts_us) if array.null_count else ts_us


def _microseconds(array: Any) -> Int64s:
    """Epoch microseconds; integers count milliseconds. Times beyond all limits are cut, not wrapped."""
    unit = array.type.unit if pa.types.is_timestamp(array.type) else "ms"
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    whole = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    if unit == "ns":
        return whole // 1000  # type: ignore[no-any-return]
    scale = _UNIT_US[unit]
    most = FAR_US // scale
    if whole.dtype.itemsize == 8:
        whole = np.clip(whole, 0 if whole.dtype.kind == "u" else -most, most)
    return whole.astype(np.int64) * scale  # type: ignore[no-any-return]


def _payload(table: pa.Table, row: int) -> dict[str, object]:
    """A row as the JSON reading that it stands for."""
    cells = {name: table.column(name)[row] for name in table.schema.names}
    told: dict[str, object] = {DEVICE: cells.pop(DEVICE).as_py()}
    if TIME in cells:
        moment = cells.pop(TIME)
        told[TIME] = (
            moment.cast(pa.string()).as_py() if pa.types.is_timestamp(moment.type) else moment.as_py()
        )
    told["metrics"] = {name: cell.as_py() for name, cell in cells.items() if cell.is_valid}
    return told
