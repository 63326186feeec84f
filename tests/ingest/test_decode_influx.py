"""Line protocol: tags name the device, fields become metrics, and each bad line is told with its number."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import to_us
from kilowatch.errors import Problem
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.decode_influx import decode_influx
from kilowatch.ingest.names import NameTable

NOW_US = to_us(datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC))
LIMITS = Limits.around(NOW_US, too_old_days=3660, in_future_s=600, max_metrics=4)
KNOWN = NameTable(["meter-00042", "D1"], [7, 9])


def decode(text: str, precision: str = "ns") -> Batch:
    return decode_influx(text.encode(), LIMITS, KNOWN, precision=precision)


def test_one_line_comes_through() -> None:
    batch = decode(f"readings,device=meter-00042,site=a power=1234.56,voltage=229.87 {NOW_US}123")
    assert batch.device.tolist() == [7]
    assert batch.ts_us.tolist() == [NOW_US]
    assert {name: column.tolist() for name, column in batch.columns.items()} == {
        "power": [1234.56],
        "voltage": [229.87],
    }


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [
        ("n", NOW_US * 1000 + 999),
        ("ns", NOW_US * 1000),
        ("u", NOW_US),
        ("us", NOW_US),
        ("µ", NOW_US),
        ("ms", NOW_US // 1000),
        ("s", NOW_US // 1_000_000),
    ],
)
def test_precision_scales_the_timestamp(precision: str, stamp: int) -> None:
    assert decode(f"m,device=D1 a=1 {stamp}", precision).ts_us.tolist() == [NOW_US]


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(Problem):
        decode("m,device=D1 a=1", "fortnight")


def test_without_a_timestamp_it_is_now() -> None:
    assert decode("m,device=D1 a=1\nm,device=D1 a=1 \r\n").ts_us.tolist() == [NOW_US, NOW_US]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-1.5", -1.5), ("+2", 2), ("1.", 1), (".5", 0.5), ("1e3", 1000), ("-1.5E-2", -0.015),
        ("12i", 12), ("-12i", -12), ("12u", 12), ("t", 1), ("TRUE", 1), ("false", 0), ("F", 0), ("007", 7),
        ("0.1", 0.1), ("229.87000000000003", 229.87000000000003),
        ("12345678901234567890", 1.2345678901234567e19),
    ],
)  # fmt: skip
def test_values_in_every_form(text: str, value: float) -> None:
    assert decode(f"m,device=D1 a={text}").columns["a"].tolist() == [value]


def test_quoted_values_are_states() -> None:
    batch = decode('m,device=D1 mode="eco, \\"fast\\" = \\\\ok",a=1\nm,device=D1 mode="off"')
    assert [tuple(cell) for cell in batch.states] == [
        (0, "mode", 'eco, "fast" = \\ok'),
        (1, "mode", "off"),
    ]


def test_escapes_and_other_tags_are_read_over() -> None:
    batch = decode('my\\ meter\\,x,a\\=b=c\\ d,device=D1,z="q po\\wer=3,a=1')
    assert batch.rejects[0].code == "bad_shape"
    batch = decode('my\\ meter\\,x,a\\=b=c\\ d,device=D1,z="q power=3,a=1')
    assert batch.device.tolist() == [9]
    assert {name: column.tolist() for name, column in batch.columns.items()} == {"power": [3], "a": [1]}


def test_device_tag_has_three_names_in_order() -> None:
    assert decode("m,host=h,device_id=i,device=d a=1\nm,host=h,device_id=i a=1\nm,host=h a=1").names == [
        "d",
        "i",
        "h",
    ]


def test_comments_and_blank_lines_do_not_count() -> None:
    batch = decode("# hello\n\nm,device=D1 a=1\n  \n#x\nm,device=D1 b=2\n")
    assert batch.index.tolist() == [0, 1]
    assert batch.columns["b"].tolist()[1] == 2


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("m a=1", "bad_shape"),
        ("m,site=x a=1", "bad_shape"),
        ("m,device=D1", "bad_shape"),
        ("m,device=D1 a", "bad_shape"),
        ("m,device=D1 a=", "bad_shape"),
        ("m,device=D1 =1", "bad_shape"),
        ("m,device=D1 a=1,", "bad_shape"),
        ("m,device= a=1", "bad_shape"),
        (",device=D1 a=1", "bad_shape"),
        ("m,device=D1 a=1_0", "bad_shape"),
        ("m,device=D1 a=0x10", "bad_shape"),
        ('m,device=D1 a="open', "bad_shape"),
        ("m,device=D1 energy_wh=1", "bad_shape"),
        ("m,device=é a=1", "bad_shape"),
        ("m,device=D1 a=1 x", "bad_timestamp"),
        ("m,device=D1 a=1 1.5", "bad_timestamp"),
        ("m,device=D1 a=1 1 2", "bad_timestamp"),
        ("m,device=D1 a=1 0", "too_old"),
        ("m,device=D1 a=1 " + "9" * 19, "in_future"),
        ("m,device=D1 a=1 " + "9" * 5000, "in_future"),
        ("m,device=D1 a=NaN", "not_finite"),
        ("m,device=D1 a=-inf", "not_finite"),
        ("m,device=D1 a=1e999", "out_of_range"),
        ("m,device=D1 a=1,b=1,c=1,d=1,e=1", "too_many_metrics"),
    ],
)
def test_a_bad_line_is_named_and_harms_no_other(line: str, code: str) -> None:
    batch = decode(f"m,device=D1 power=1\n# comment\n{line}\nm,device=meter-00042 power=2")
    assert [(reject.index, reject.code) for reject in batch.rejects] == [(1, code)]
    assert batch.rejects[0].detail.startswith("line 3: ")
    assert batch.rejects[0].payload == line
    assert batch.device.tolist() == [9, 7]
    assert batch.columns["power"].tolist() == [1, 2]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_raise(body: bytes) -> None:
    batch = decode_influx(body, LIMITS, KNOWN)
    lines = [
        line
        for line in body.split(b"\n")
        if line.strip(b" \t\r") and not line.strip(b" \t\r").startswith(b"#")
    ]
    assert len(batch) + len(batch.rejects) == len(lines)
