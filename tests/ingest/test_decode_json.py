"""JSON and NDJSON bodies: good readings come through, bad ones are named, neighbours are unharmed."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from kilowatch.clock import to_us
from kilowatch.errors import Problem
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.decode_json import decode_json, decode_ndjson
from kilowatch.ingest.names import NameTable

NOW_US = to_us(datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC))
LIMITS = Limits.around(NOW_US, too_old_days=3660, in_future_s=600, max_metrics=4)
KNOWN = NameTable(["meter-00042", "D1"], [7, 9])
GOOD = (
    b'{"device":"meter-00042","ts":"2026-11-20T12:00:00.123Z","metrics":{"power":1234.56,"voltage":229.87}}'
)


def batch_of(*readings: bytes) -> Batch:
    return decode_json(b"[" + b",".join(readings) + b"]", LIMITS, KNOWN)


def codes(batch: Batch) -> list[tuple[int, str]]:
    return [(reject.index, reject.code) for reject in batch.rejects]


def reading(device: object = "D1", ts: object = None, **metrics: object) -> bytes:
    return json.dumps({"device": device, "ts": ts, "metrics": metrics}).encode()


def test_one_reading_comes_through() -> None:
    batch = decode_json(GOOD, LIMITS, KNOWN)
    assert batch.device.tolist() == [7]
    assert batch.ts_us.tolist() == [NOW_US - 29_877_000]
    assert {name: column.tolist() for name, column in batch.columns.items()} == {
        "power": [1234.56],
        "voltage": [229.87],
    }
    assert batch.reading(0, "meter-00042") == json.loads(GOOD)


def test_missing_time_is_now() -> None:
    assert batch_of(b'{"device":"D1","metrics":{"a":1}}', reading(a=2)).ts_us.tolist() == [NOW_US, NOW_US]


@pytest.mark.parametrize(
    ("ts", "moment"),
    [
        ("2026-11-20T12:00:00Z", NOW_US - 30_000_000),
        ("2026-11-20T13:00:00.5+01:00", NOW_US - 29_500_000),
        ("2026-11-20 12:00:00.123456789z", NOW_US - 29_876_544),
        (1795176000123, NOW_US - 29_877_000),
        (1795176000123.25, NOW_US - 29_876_750),
    ],
)
def test_times_are_read_in_every_form(ts: object, moment: int) -> None:
    assert batch_of(reading(ts=ts, a=1)).ts_us.tolist() == [moment]
    assert batch_of(reading(ts=ts, a=1), GOOD, reading(ts=None, a=1)).ts_us[0] == moment


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (reading(ts="2026-02-29T12:00:00Z", a=1), "bad_timestamp"),
        (reading(ts="2026-11-20T12:00:00", a=1), "bad_timestamp"),
        (reading(ts="2026-11-20T24:00:00Z", a=1), "bad_timestamp"),
        (reading(ts=True, a=1), "bad_timestamp"),
        (reading(ts="yesterday", a=1), "bad_timestamp"),
        (reading(ts="1970-01-01T00:00:00Z", a=1), "too_old"),
        (reading(ts=10**40, a=1), "in_future"),
        (reading(ts="2100-01-01T00:00:00Z", a=1), "in_future"),
        (reading(a=float("nan")), "not_finite"),
        (reading(a=float("-inf")), "not_finite"),
        (b'{"device":"D1","metrics":{"a":1e999}}', "out_of_range"),
        (reading(a=10**400), "out_of_range"),
        (b'{"device":"D1","metrics":{"a":' + b"9" * 6000 + b"}}", "out_of_range"),
        (reading(a=[1]), "bad_shape"),
        (reading(a={"b": 1}), "bad_shape"),
        (reading(a=None), "bad_shape"),
        (reading(), "bad_shape"),
        (reading(energy_wh=5), "bad_shape"),
        (reading(**{"not a name": 1}), "bad_shape"),
        (reading(device="not a slug", a=1), "bad_shape"),
        (reading(device="x" * 65, a=1), "bad_shape"),
        (reading(device="", a=1), "bad_shape"),
        (reading(device=5, a=1), "bad_shape"),
        (b'{"metrics":{"a":1}}', "bad_shape"),
        (b'{"device":"D1"}', "bad_shape"),
        (b"5", "bad_shape"),
        (b"[]", "bad_shape"),
        (reading(a=1, b=2, c=3, d=4, e=5), "too_many_metrics"),
    ],
)
def test_a_bad_reading_is_named_and_harms_no_other(bad: bytes, code: str) -> None:
    batch = batch_of(GOOD, bad, reading(power=True))
    assert codes(batch) == [(1, code)]
    assert batch.device.tolist() == [7, 9]
    assert batch.index.tolist() == [0, 2]
    assert batch.columns["power"].tolist() == [1234.56, 1.0]
    assert set(batch.columns) == {"power", "voltage"}
    assert batch.names == []


def test_named_states_stay_texts() -> None:
    batch = batch_of(reading(mode="auto", a=1), reading(ts=5, a=1), reading(mode="12"))
    assert [tuple(cell) for cell in batch.states] == [(0, "mode", "auto"), (1, "mode", "12")]
    assert list(batch.columns) == ["a"]


def test_unknown_devices_keep_their_names() -> None:
    batch = batch_of(reading("new-1", a=1), GOOD, reading("new-2", a=1), reading("new-1", a=1))
    assert batch.names == ["new-1", "new-2"]
    assert batch.device.tolist() == [~0, 7, ~1, ~0]


def test_of_equal_keys_the_last_counts() -> None:
    assert batch_of(b'{"device":"D1","metrics":{"a":1,"a":2}}').columns["a"].tolist() == [2.0]


def test_an_empty_array_is_an_empty_batch() -> None:
    batch = decode_json(b" [ ] ", LIMITS, KNOWN)
    assert len(batch) == 0
    assert batch.rejects == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"5",
        b"hello",
        b'[{"device":"D1"',
        GOOD[:-1],
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00\xff",
    ],
)
def test_what_is_no_json_is_refused_with_the_place(body: bytes) -> None:
    with pytest.raises(Problem) as refusal:
        decode_json(body, LIMITS, KNOWN)
    assert refusal.value.status == 400


def test_byte_order_mark_and_whitespace_do_not_matter() -> None:
    spaced = json.dumps([json.loads(GOOD)] * 3, indent=4).encode()
    batch = decode_json(b"\xef\xbb\xbf" + spaced + b"\n", LIMITS, KNOWN)
    assert batch.columns["power"].tolist() == [1234.56] * 3


def test_a_truncated_last_line_is_one_reject() -> None:
    batch = decode_ndjson(GOOD + b"\n\n" + GOOD + b"\r\n" + GOOD[:60], LIMITS, KNOWN)
    assert len(batch) == 2
    assert codes(batch) == [(2, "bad_shape")]
    assert batch.rejects[0].payload == GOOD[:60].decode()


def test_lines_that_are_all_no_json_are_refused() -> None:
    with pytest.raises(Problem):
        decode_ndjson(b"a\nb\n", LIMITS, KNOWN)


def test_a_device_told_by_the_door_needs_no_name() -> None:
    body = b'[{"metrics":{"a":1}},{"device":"D2","metrics":{"a":1}},{"device":"D1","metrics":{"a":true}}]'
    batch = decode_json(body, LIMITS, KNOWN, device="D1")
    assert batch.device.tolist() == [9, 9]
    assert codes(batch) == [(1, "bad_shape")]


def test_payloads_of_rejects_can_be_stored_as_jsonb() -> None:
    batch = batch_of(b'{"device":"D1","metrics":{"a\\u0000":NaN,"b":[[[[1e999]]]]}}', GOOD)
    text = json.dumps(batch.rejects[0].payload, allow_nan=False)
    assert "\\u0000" not in text
    assert batch.rejects[0].device == "D1"


def test_ten_thousand_metrics_are_refused_without_columns() -> None:
    batch = batch_of(reading(**{f"m{place}": place for place in range(10_000)}), GOOD)
    assert codes(batch) == [(0, "too_many_metrics")]
    assert set(batch.columns) == {"power", "voltage"}


def test_columns_stay_bounded_when_every_reading_names_other_metrics() -> None:
    body = b"[" + b",".join(b'{"device":"D1","metrics":{"m%d":1}}' % place for place in range(20_000)) + b"]"
    batch = decode_json(body, LIMITS, KNOWN)
    assert sum(column.nbytes for column in batch.columns.values()) <= 1 << 28
    assert {reject.code for reject in batch.rejects} == {"too_many_metrics"}
    assert len(batch) + len(batch.rejects) == 20_000
    assert np.isfinite([column[row] for row, column in enumerate(batch.columns.values())]).all()
