"""Arrow streams: any sensible type of column is read, nulls are absent, bad rows are named."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import to_us
from kilowatch.errors import Problem
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.decode_arrow import decode_arrow
from kilowatch.ingest.names import NameTable

NOW_US = to_us(datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC))
LIMITS = Limits.around(NOW_US, too_old_days=3660, in_future_s=600, max_metrics=4)
KNOWN = NameTable(["meter-00042", "D1"], [7, 9])


def stream(*tables: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return bytes(sink.getvalue())


def decode(**columns: object) -> Batch:
    return decode_arrow(stream(pa.table(columns)), LIMITS, KNOWN)


DEVICES = ["meter-00042", "new", "D1", "new"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())]
)
def test_devices_of_every_type(kind: pa.DataType) -> None:
    batch = decode(device=pa.array(DEVICES, kind), a=[1.0] * 4)
    assert batch.device.tolist() == [7, ~0, 9, ~0]
    assert batch.names == ["new"]
    assert batch.ts_us.tolist() == [NOW_US] * 4


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kathmandu"])
def test_times_of_every_unit_and_zone(unit: str, zone: str | None) -> None:
    moment = (
        pa.array([NOW_US, None], pa.int64())
        .cast(pa.timestamp("us"))
        .cast(pa.timestamp(unit))
        .cast(pa.int64())
    )
    ts = moment.cast(pa.timestamp(unit, zone))
    assert decode(device=["D1", "D1"], ts=ts, a=[1.0, 2.0]).ts_us.tolist() == [NOW_US, NOW_US]


def test_times_as_milliseconds_and_texts() -> None:
    assert decode(device=["D1"], ts=[NOW_US // 1000], a=[1.0]).ts_us.tolist() == [NOW_US]
    assert decode(device=["D1"], ts=["2026-11-20T12:00:30Z"], a=[1.0]).ts_us.tolist() == [NOW_US]
    far = decode(device=["D1"], ts=pa.array([2**64 - 1], pa.uint64()), a=[1.0])
    assert far.rejects[0].code == "in_future"


@pytest.mark.parametrize(
    "kind",
    [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.int64(), pa.uint16(), pa.decimal128(9, 2)],
)
def test_values_of_every_type(kind: pa.DataType) -> None:
    values = [Decimal(5), None, Decimal(7)] if pa.types.is_decimal(kind) else [5, None, 7]
    batch = decode(device=["D1"] * 3, a=pa.array(values, kind), on=[True, False, None])
    assert np.array_equal(batch.columns["a"], [5.0, np.nan, 7.0], equal_nan=True)
    assert np.array_equal(batch.columns["on"], [1.0, 0.0, np.nan], equal_nan=True)


def test_texts_are_states_and_empty_columns_are_absent() -> None:
    batch = decode(device=["D1"] * 2, mode=["auto", None], a=[1.0, 2.0], none=pa.nulls(2))
    assert [tuple(cell) for cell in batch.states] == [(0, "mode", "auto")]
    assert list(batch.columns) == ["a"]


def test_bad_rows_are_named_and_harm_no_other() -> None:
    batch = decode(
        device=["D1", None, "not a slug", "D1", "D1", "D1", "D1", "D1"],
        ts=pa.array([NOW_US, NOW_US, NOW_US, 0, NOW_US * 2, NOW_US, NOW_US, NOW_US], pa.timestamp("us")),
        a=pa.array([1.0, 1.0, 1.0, 1.0, 1.0, float("nan"), None, 8.0]),
        b=pa.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, None, None]),
    )
    assert [(reject.index, reject.code) for reject in batch.rejects] == [
        (1, "bad_shape"),
        (2, "bad_shape"),
        (3, "too_old"),
        (4, "in_future"),
        (5, "not_finite"),
        (6, "bad_shape"),
    ]
    assert batch.columns["a"].tolist() == [1.0, 8.0]
    assert batch.index.tolist() == [0, 7]
    for reject in batch.rejects:
        json.dumps(reject.payload, allow_nan=False)


def test_names_that_only_begin_like_known_ones_are_others() -> None:
    known = NameTable(["D1", "x" * 64], [1, 2])
    names = ["D1", "D1\0", "x" * 64, "x" * 65, "", "x" * 63]
    for kind in (pa.string(), pa.dictionary(pa.int8(), pa.string())):
        for part in (names, [name for name in names if "\0" not in name]):
            body = stream(pa.table({"device": pa.array(part, kind), "a": [1.0] * len(part)}))
            batch = decode_arrow(body, LIMITS, known)
            assert batch.device.tolist() == [1, 2, ~0]
            assert batch.names == ["x" * 63]
            assert len(batch.rejects) == len(part) - 3


def test_several_batches_with_other_dictionaries_are_one() -> None:
    kind = pa.dictionary(pa.int16(), pa.string())
    parts = [
        pa.table({"device": pa.array(names, kind), "a": [1.0, 2.0]}) for names in (["D1", "x"], ["y", "D1"])
    ]
    batch = decode_arrow(stream(*parts), LIMITS, KNOWN)
    assert [batch.names[~number] if number < 0 else number for number in batch.device.tolist()] == [
        9,
        "x",
        "y",
        9,
    ]


def test_no_rows_is_an_empty_batch() -> None:
    empty = decode(
        device=pa.array([], pa.string()), ts=pa.array([], pa.timestamp("us")), a=pa.array([], pa.float64())
    )
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [1.0]}, "no column device"),
        ({"device": [1], "a": [1.0]}, "device is int64"),
        ({"device": ["D1"], "ts": [1.5], "a": [1.0]}, "ts is double"),
        ({"device": ["D1"], "a": [[1.0]]}, "'a' is list"),
        ({"device": ["D1"], "a": [b"x"]}, "'a' is binary"),
    ],
)
def test_wrong_types_are_refused_with_the_column(columns: dict[str, object], words: str) -> None:
    with pytest.raises(Problem, match=words) as refusal:
        decode(**columns)
    assert refusal.value.status == 422


def test_bad_metric_names_and_the_reserved_one_reject_the_row() -> None:
    batch = decode(device=["D1", "D1"], energy_wh=[1.0, None], a=[1.0, 2.0])
    assert [(reject.index, reject.code) for reject in batch.rejects] == [(0, "bad_shape")]


WHOLE = stream(pa.table({"device": ["D1", "x"] * 4, "ts": [NOW_US // 1000] * 8, "a": [1.0, None] * 4}))


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), length=st.integers(0, len(WHOLE)))
def test_damaged_streams_are_problems_or_readings(place: int, byte: int, length: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] = byte
    for body in (bytes(damaged), WHOLE[:length]):
        with suppress(Problem):
            batch = decode_arrow(body, LIMITS, KNOWN)
            assert len(batch) + len(batch.rejects) <= 8
