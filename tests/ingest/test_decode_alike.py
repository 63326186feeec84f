"""The columnar way and reading by reading give the same, on bodies that are alike and on near misses."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kilowatch.clock import rfc3339, to_us
from kilowatch.errors import Problem
from kilowatch.ingest import alike
from kilowatch.ingest.alike import Unlike
from kilowatch.ingest.batch import Batch, Draft, Limits, finish
from kilowatch.ingest.decode_influx import decode_influx
from kilowatch.ingest.decode_influx import draft_of_lines as draft_of_influx_lines
from kilowatch.ingest.decode_json import decode_json, decode_ndjson, draft_of_json, draft_of_lines
from kilowatch.ingest.digits import decimals, wholes
from kilowatch.ingest.influx_columns import read_influx
from kilowatch.ingest.json_columns import read_json, read_ndjson
from kilowatch.ingest.names import NameTable

NOW_US = to_us(datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC))
LIMITS = Limits.around(NOW_US, too_old_days=3660, in_future_s=600, max_metrics=8)
NAMES = ["meter-00042", "D1", "x" * 64, "eight888", "sixteen-sixteen1"]
KNOWN = NameTable(NAMES, range(7, 7 + len(NAMES)))

DECIMALS = st.one_of(
    st.decimals(-99999, 99999, places=2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 300).map(repr),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(
        ["0", "-0", "0.0", "0.5", "9007199254740993", "9007199254740993.5", "123456.7", "1e3", "99999999"]
    ),
)
TIMES = st.integers(NOW_US - 400 * 86_400_000_000, NOW_US).map(rfc3339)
DEVICES = st.sampled_from([*NAMES, "new-1", "n2"])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets short bodies take the columnar way, in several chunks."""
    monkeypatch.setattr("kilowatch.ingest.json_columns.SHORTEST_BODY", 0)
    monkeypatch.setattr("kilowatch.ingest.influx_columns.SHORTEST_BODY", 0)
    monkeypatch.setattr(alike, "CHUNK_BYTES", 512)


def told(batch: Batch) -> object:
    """Everything that a batch says, in a form that can be compared."""
    device = [batch.names[~number] if number < 0 else number for number in batch.device.tolist()]
    columns = {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in batch.columns.items()
    }
    rejects = [(reject.index, reject.code, reject.device) for reject in batch.rejects]
    return device, batch.ts_us.tolist(), columns, batch.index.tolist(), batch.states, rejects


def outcome(decode: Callable[[], Batch]) -> object:
    try:
        return told(decode())
    except Problem as problem:
        return problem.status


def by_reading(body: bytes, draft_of: Callable[[bytes, Limits, None], Draft] = draft_of_json) -> Batch:
    return finish(draft_of(body, LIMITS, None), LIMITS, KNOWN)


@st.composite
def alike_readings(draw: st.DrawFn) -> list[str]:
    """Texts of readings with the same members in the same order and the same whitespace."""
    metrics = draw(
        st.lists(
            st.sampled_from(["power", "a", "L1.u-x", "temperature_of_the_room"]), min_size=1, unique=True
        )
    )
    order = draw(st.permutations(["device", "ts", "metrics"]))
    if draw(st.booleans()):
        order.remove("ts")
    colon = draw(st.sampled_from([":", ": "]))
    comma = draw(st.sampled_from([",", ", "]))
    stamped = draw(st.sampled_from(["text", "ms"]))
    values = (
        st.one_of(DECIMALS, st.sampled_from(["true", "false", "null"])) if draw(st.booleans()) else DECIMALS
    )
    readings = []
    for _ in range(draw(st.integers(2, 30))):
        cells = comma.join(f'"{name}"{colon}{draw(values)}' for name in metrics)
        ts = draw(TIMES) if stamped == "text" else str(NOW_US // 1000 - draw(st.integers(0, 10**10)))
        parts = {
            "device": f'"{draw(DEVICES)}"',
            "ts": f'"{ts}"' if stamped == "text" else ts,
            "metrics": "{" + cells + "}",
        }
        readings.append("{" + comma.join(f'"{name}"{colon}{parts[name]}' for name in order) + "}")
    return readings


@settings(deadline=None, max_examples=200)
@given(alike_readings(), st.sampled_from([",", ", ", " ,\n"]))
def test_arrays_of_alike_readings_are_read_the_same(readings: list[str], comma: str) -> None:
    body = f"[{comma.join(readings)}]".encode()
    assert outcome(lambda: decode_json(body, LIMITS, KNOWN)) == outcome(lambda: by_reading(body))


@settings(deadline=None, max_examples=100)
@given(alike_readings(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_lines_of_alike_readings_are_read_the_same(readings: list[str], end: str, ended: bool) -> None:
    body = (end.join(readings) + end * ended).encode()
    assert outcome(lambda: decode_ndjson(body, LIMITS, KNOWN)) == outcome(
        lambda: by_reading(body, draft_of_lines)
    )


def damaged(text: bytes, data: st.DataObject) -> bytes:
    """The text with a byte or two changed, put in or left out."""
    body = bytearray(text)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(body) - 1))
        how = data.draw(st.sampled_from(["set", "insert", "delete"]))
        byte = data.draw(st.one_of(st.sampled_from(list(b'",:{}[] .-/+0918eEit=#\\\n')), st.integers(0, 255)))
        if how == "set":
            body[place] = byte
        elif how == "insert":
            body.insert(place, byte)
        elif len(body) > 1:
            del body[place]
    return bytes(body)


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_a_changed_byte_is_never_read_differently(data: st.DataObject) -> None:
    readings = data.draw(alike_readings())
    lines = data.draw(st.booleans())
    raw = damaged(("\n".join(readings) if lines else f"[{','.join(readings)}]").encode(), data)
    if lines:
        fast, slow = (
            outcome(lambda: decode_ndjson(raw, LIMITS, KNOWN)),
            outcome(lambda: by_reading(raw, draft_of_lines)),
        )
    else:
        fast, slow = outcome(lambda: decode_json(raw, LIMITS, KNOWN)), outcome(lambda: by_reading(raw))
    assert fast == slow


def reading(device: str = "D1", ts: str = "2026-11-20T12:00:00.123Z", value: str = "1.5") -> str:
    return f'{{"device":"{device}","ts":"{ts}","metrics":{{"power":{value},"on":true}}}}'


def test_usual_bodies_do_take_the_columnar_way() -> None:
    readings = [reading(name, value=f"{place}.25") for place, name in enumerate(NAMES * 9)]
    assert len(read_json(f" [ {', '.join(readings)} ]\n".encode(), LIMITS, KNOWN).device) == 45
    assert len(read_ndjson("\n".join(readings).encode(), LIMITS, KNOWN).device) == 45


def test_dead_letters_of_the_columnar_way_hold_the_reading() -> None:
    readings = [reading(ts=f"20{year}-01-01T00:00:00.000Z") for year in (25, 99, 26, 10)]
    batch = finish(read_json(f"[{','.join(readings)}]".encode(), LIMITS, KNOWN), LIMITS, KNOWN)
    assert [(reject.index, reject.code, reject.device) for reject in batch.rejects] == [
        (1, "in_future", "D1"),
        (3, "too_old", "D1"),
    ]
    assert [reject.payload for reject in batch.rejects] == [json.loads(readings[1]), json.loads(readings[3])]


def test_a_name_followed_by_nul_is_another_name() -> None:
    body = f"[{','.join([reading()] * 3)}]".replace("D1", "D1\0").encode()
    with pytest.raises(Problem):
        decode_json(body, LIMITS, KNOWN)
    lines = decode_influx(b"m,device=D1 a=1\nm,device=D1\0 a=2", LIMITS, KNOWN)
    assert [(reject.index, reject.code) for reject in lines.rejects] == [(1, "bad_shape")]


@pytest.mark.parametrize(
    "second",
    [
        reading("a b"),
        reading(value="01"),
        reading(value="1."),
        reading(value=".5"),
        reading(value="-"),
        reading(value="--1"),
        reading(value="1-2"),
        reading(value="1/2"),
        reading(value="1.2.3"),
        reading(value="12345678.1.2"),
        reading(value="1e999"),
        reading(value='"auto"'),
        reading(ts="2026-02-30T12:00:00.123Z"),
        reading(ts="2026-11-20T12:00:61.123Z"),
        reading(ts="2026-11-20T12:00:00.123z"),
        reading().replace("power", "Power"),
        reading().replace("}}", "},}"),
    ],
)
def test_near_misses_are_left_to_the_other_way(second: str) -> None:
    body = f"[{reading()},{second},{reading()}]".encode()
    with pytest.raises(Unlike):
        read_json(body, LIMITS, KNOWN)


@st.composite
def alike_lines(draw: st.DrawFn) -> list[str]:
    """Lines of one measurement with the same tags and fields."""
    tags = draw(
        st.permutations(
            draw(st.sampled_from([["device"], ["site", "device"], ["host", "z"], ["a", "b", "device_id"]]))
        )
    )
    fields = draw(st.lists(st.sampled_from(["power", "a", "L1.u-x"]), min_size=1, unique=True))
    ends = [draw(st.sampled_from(["", "", "i", "u"])) for _ in fields]
    stamped = draw(st.booleans())
    lines = []
    for _ in range(draw(st.integers(2, 30))):
        values = [
            f"{draw(st.integers(-(10**9), 10**9))}{end}"
            if end
            else draw(st.one_of(DECIMALS, st.sampled_from(["t", "false"])))
            for end in ends
        ]
        head = "".join(f",{tag}={draw(DEVICES)}" for tag in tags)
        cells = ",".join(f"{name}={value}" for name, value in zip(fields, values, strict=True))
        stamp = f" {NOW_US * 1000 - draw(st.integers(0, 10**15))}" if stamped else ""
        lines.append(f"my_meter{head} {cells}{stamp}")
    return lines


def by_line(body: bytes) -> Batch:
    return finish(draft_of_influx_lines(body, LIMITS, 1), LIMITS, KNOWN)


@settings(deadline=None, max_examples=200)
@given(alike_lines(), st.booleans())
def test_alike_influx_lines_are_read_the_same(lines: list[str], ended: bool) -> None:
    body = ("\n".join(lines) + "\n" * ended).encode()
    assert outcome(lambda: decode_influx(body, LIMITS, KNOWN)) == outcome(lambda: by_line(body))


@settings(deadline=None, max_examples=400)
@given(alike_lines(), st.data())
def test_a_changed_byte_of_influx_lines_is_never_read_differently(
    lines: list[str], data: st.DataObject
) -> None:
    raw = damaged("\n".join(lines).encode(), data)
    assert outcome(lambda: decode_influx(raw, LIMITS, KNOWN)) == outcome(lambda: by_line(raw))


def test_usual_influx_bodies_do_take_the_columnar_way() -> None:
    lines = [f"m,site=s{n},device={name} a={n}.5,b={n}i {NOW_US + n}" for n, name in enumerate(NAMES * 9)]
    draft = read_influx("\n".join(lines).encode(), LIMITS, KNOWN, 1000, float)
    assert draft.ts_us.tolist() == list(range(NOW_US, NOW_US + 45))
    assert draft.columns["a"].tolist() == [n + 0.5 for n in range(45)]
    assert draft.columns["b"].tolist() == list(range(45))


def test_dead_letters_of_influx_lines_hold_the_line() -> None:
    lines = [f"m,host=h,device=D{n % 2} a=1 {ts}" for n, ts in enumerate([NOW_US, 5, NOW_US * 2, NOW_US])]
    batch = decode_influx("\n".join(lines).encode(), LIMITS, KNOWN, precision="us")
    assert [(r.index, r.code, r.device, r.payload, r.detail[:8]) for r in batch.rejects] == [
        (1, "too_old", "D1", lines[1], "line 2: "),
        (2, "in_future", "D0", lines[2], "line 3: "),
    ]


def words_of(texts: list[bytes], count: int) -> tuple[np.ndarray, np.ndarray]:
    padded = b"".join((text + b",}]x/.-9" * 4)[: 8 * count] for text in texts)
    words = np.ascontiguousarray(np.frombuffer(padded, "<u8").reshape(len(texts), count).T)
    return words, np.array([len(text) for text in texts])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(DECIMALS, st.text("0123456789.-/+e", min_size=1, max_size=20)), min_size=1))
@example([f"0.{'0' * first}.{'0' * last}" for first in range(1, 13) for last in range(1, 13 - first)])
def test_good_decimals_are_the_nearest_doubles(texts: list[str]) -> None:
    for count in (1, 2):
        tokens = [text.encode() for text in texts if len(text) <= 8 * count]
        if not tokens:
            continue
        values, good, _ = decimals(*words_of(tokens, count))
        for token, value, right in zip(tokens, values.tolist(), good.tolist(), strict=True):
            bare = token.removeprefix(b"-")
            plain = bare.replace(b".", b"", 1).isdigit() and bare[:1] != b"." and bare[-1:] != b"."
            plain = plain and not (bare[:1] == b"0" and bare[1:2].isdigit())
            assert right == (plain and int(bare.replace(b".", b"")) <= 2**53), token
            assert not right or value == float(token)


@settings(deadline=None)
@given(st.integers(1, 3), st.data())
def test_wholes_are_exact(count: int, data: st.DataObject) -> None:
    lengths = st.integers(8 * count - 7, min(19, 8 * count))
    size = data.draw(lengths)
    texts = data.draw(st.lists(st.text("0123456789", min_size=size, max_size=size), min_size=1))
    texts += [texts[0][:-1] + odd for odd in "/:.-"]
    values, good = wholes(*words_of([text.encode() for text in texts], count))
    assert good.tolist() == [text.isdigit() for text in texts]
    assert all(
        value == int(text) for value, text in zip(values.tolist(), texts, strict=True) if text.isdigit()
    )
