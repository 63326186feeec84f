"""The readings that a load consists of: which device, at which moment, with which values.

Bodies are written once and then changed in place before each sending: names and times are put over the old
ones, so a reading costs the sender some tens of nanoseconds. Keeps true that no two readings of a run have
the same device and time, that each device's times ascend at a fixed distance, and that what follows what in
a series is random (names move against values by another random step each time).
"""

import random
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Form = Literal["json", "ndjson", "arrow", "influx", "single", "mqtt"]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

NAMED_METRICS = (
    ("power", 0, 300_00),
    ("voltage", 225_00, 235_00),
    ("current", 0, 10_00),
    ("temperature", 0, 40_00),
)
"""Name, least and most value in hundredths; further metrics are numbered and go from 0 to 100."""
DEVICES_MOST = 999_999
NAME_BYTES = len("meter-000042")
WORD_BYTES = 8
"""A name's last bytes, which are the ones that change; so many that they make one word."""
SPARE_TEMPLATES = 4
TEMPLATES_LEAST = 6
TAILS = 4096
"""Different sets of values that single readings draw from."""


def device_name(number: int) -> str:
    """The id of a device of the load."""
    return f"meter-{number:06d}"


def metric_names(count: int) -> list[str]:
    """The names of the load's metrics."""
    return [name for name, _, _ in _metrics(count)]


def _metrics(count: int) -> list[tuple[str, int, int]]:
    more = [(f"metric_{number}", 0, 100_00) for number in range(len(NAMED_METRICS) + 1, count + 1)]
    return [*NAMED_METRICS[:count], *more]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a load looks like. A body holds whole rounds of its connection's devices, or an even part of one,
    so `rows` may be a little below `batch` and `used_devices` below `devices`."""

    form: Form
    devices: int
    metrics: int
    batch: int
    connections: int
    start_us: int
    """Time of the first round."""
    every_us: int
    """Time between two readings of a device."""
    seed: int = 1
    first_device: int = 0

    @property
    def parts(self) -> int:
        """So many bodies make a round."""
        return max(1, -(-(self.devices // self.connections) // self.batch))

    @property
    def width(self) -> int:
        """Devices in one round of one body."""
        return max(1, self.devices // self.connections // self.parts)

    @property
    def rounds(self) -> int:
        """Rounds in one body."""
        return max(1, self.batch // self.width) if self.parts == 1 else 1

    @property
    def rows(self) -> int:
        """Readings in one body."""
        return self.width * self.rounds

    @property
    def devices_each(self) -> int:
        """Devices of one connection."""
        return self.width * self.parts

    @property
    def used_devices(self) -> int:
        """Devices that send anything."""
        return self.devices_each * self.connections


class Share:
    """One connection's devices and how far they have come in time."""

    def __init__(self, shape: Shape, number: int) -> None:
        self._shape = shape
        self._rng = random.Random(f"{shape.seed}/{number}")  # noqa: S311 - no secret
        self._part = 0
        self._round = 0
        first = shape.first_device + number * shape.devices_each
        self.names = [device_name(first + place) for place in range(shape.devices_each)]
        self.text = np.array([name.encode() for name in self.names], f"S{NAME_BYTES}")
        tails = np.array([name[-WORD_BYTES:].encode() for name in self.names], f"S{WORD_BYTES}")
        self.words: npt.NDArray[np.uint64] = tails.view("<u8")
        each = np.arange(shape.devices_each, dtype=np.int32).reshape(shape.parts, shape.width)
        self._doubled = np.concatenate([each, each], axis=1)

    def advance(self) -> tuple[Int32s, Int64s]:
        """The next body's rows: the place of each row's device in `names`, and the time of each round."""
        shape, ring = self._shape, self._doubled[self._part]
        offsets = [self._rng.randrange(shape.width) for _ in range(shape.rounds)]
        places = np.concatenate([ring[offset : offset + shape.width] for offset in offsets])
        rounds = np.arange(self._round, self._round + shape.rounds, dtype=np.int64)
        self._part += 1
        if self._part == shape.parts:
            self._part, self._round = 0, self._round + shape.rounds
        return places, shape.start_us + rounds * shape.every_us


class Template(Protocol):
    """A body that is written over."""

    body: bytearray

    def fill(self, share: Share, places: Int32s, moments_us: Int64s) -> None:
        """Puts other devices and times into the body."""


class Templates:
    """The bodies of a run; those in flight are not touched."""

    def __init__(self, shape: Shape) -> None:
        rng = np.random.default_rng(shape.seed)
        make = _make_arrow if shape.form == "arrow" else _make_text
        wanted = max(TEMPLATES_LEAST, shape.connections + SPARE_TEMPLATES)
        self._free: deque[Template] = deque(make(shape, rng) for _ in range(wanted))

    def take(self, share: Share) -> Template:
        """A free body with the share's next readings."""
        template = self._free.popleft()
        template.fill(share, *share.advance())
        return template

    def give_back(self, template: Template) -> None:
        """Says that the body has been sent."""
        self._free.append(template)


class Singles:
    """Readings one at a time, for one connection."""

    def __init__(self, shape: Shape, number: int, *, with_device: bool) -> None:
        share = Share(shape, number)
        self._names = share.names
        self._heads = [
            b'{"device":"%b","ts":"' % name.encode() if with_device else b'{"ts":"' for name in share.names
        ]
        self._tails = _single_tails(shape)
        self._at_us, self._every_us = shape.start_us, shape.every_us
        self._place = 0
        self._random = random.Random(f"{shape.seed}/{number}").random  # noqa: S311 - no secret
        self._moment = _iso_text(self._at_us)

    def take(self) -> tuple[int, bytes]:
        """Place of the device among the connection's devices, and its next reading."""
        place = self._place
        if place == len(self._heads):
            place = 0
            self._at_us += self._every_us
            self._moment = _iso_text(self._at_us)
        self._place = place + 1
        return place, self._heads[place] + self._moment + self._tails[int(self._random() * TAILS)]

    @property
    def newest(self) -> tuple[str, int]:
        """Device and time of the reading that was taken last."""
        return self._names[self._place - 1], self._at_us


_tails_made: dict[tuple[int, int], list[bytes]] = {}


def _single_tails(shape: Shape) -> list[bytes]:
    """What follows the time of a single reading; the same list for all connections."""
    wanted = (shape.seed, shape.metrics)
    if wanted not in _tails_made:
        texts = _value_texts(shape.metrics, TAILS, np.random.default_rng(shape.seed))
        _tails_made[wanted] = [
            b'","metrics":{%b}}'
            % b",".join(b'"%b":%b' % pair for pair in zip(_names(shape.metrics), row, strict=True))
            for row in zip(*texts, strict=True)
        ]
    return _tails_made[wanted]


def _names(count: int) -> list[bytes]:
    return [name.encode() for name in metric_names(count)]


def _values(metrics: int, rows: int, rng: np.random.Generator) -> list[npt.NDArray[np.float64]]:
    return [rng.integers(least, most, rows, endpoint=True) / 100 for _, least, most in _metrics(metrics)]


def _value_texts(metrics: int, rows: int, rng: np.random.Generator) -> list[list[bytes]]:
    return [[repr(value).encode() for value in column.tolist()] for column in _values(metrics, rows, rng)]


def iso_texts(moments_us: Int64s) -> npt.NDArray[np.bytes_]:
    """RFC 3339 with milliseconds."""
    texts = np.datetime_as_string(moments_us.astype("M8[us]"), unit="ms", timezone="UTC", casting="unsafe")
    return texts.astype("S24")


def _iso_text(moment_us: int) -> bytes:
    return bytes(iso_texts(np.array([moment_us]))[0])


def _nano_texts(moments_us: Int64s) -> npt.NDArray[np.bytes_]:
    return (moments_us * 1000).astype("S19")


# --- text ------------------------------------------------------------------------------------------------


class TextTemplate:
    """Lines or array members: device, time and metrics, with names and times of one width."""

    def __init__(self, body: bytearray, names_at: Int64s, times_at: Int64s, form: Form) -> None:
        self.body = body
        self._names_at, self._times_at = names_at, times_at
        self._texts = _nano_texts if form == "influx" else iso_texts
        width = 19 if form == "influx" else 24
        # Views of every place where a word or a time could begin, so that all rows are written at once.
        self._words: npt.NDArray[np.uint64] = np.ndarray(
            (len(body) - WORD_BYTES + 1,), "<u8", body, strides=(1,)
        )
        self._times: npt.NDArray[Any] = np.ndarray((len(body) - width + 1,), f"S{width}", body, strides=(1,))

    def fill(self, share: Share, places: Int32s, moments_us: Int64s) -> None:
        """See `Template`."""
        self._words[self._names_at] = share.words[places]
        self._times[self._times_at] = np.repeat(self._texts(moments_us), len(places) // len(moments_us))


def _make_text(shape: Shape, rng: np.random.Generator) -> TextTemplate:
    texts = _value_texts(shape.metrics, shape.rows, rng)
    names, name = _names(shape.metrics), device_name(0).encode()
    if shape.form == "influx":
        lead, between = b"energy,device=", b" "
        first, last, separator = b"", b"\n", b"\n"
        pairs = [
            b",".join(b"%b=%b" % pair for pair in zip(names, row, strict=True))
            for row in zip(*texts, strict=True)
        ]
        rows = [lead + name + between + pair + between + b"0" * 19 for pair in pairs]
        behind = [len(row) - 19 for row in rows]
    else:
        lead, between = b'{"device":"', b'","ts":"'
        first, last, separator = (b"", b"\n", b"\n") if shape.form == "ndjson" else (b"[", b"]", b",")
        pairs = [
            b",".join(b'"%b":%b' % pair for pair in zip(names, row, strict=True))
            for row in zip(*texts, strict=True)
        ]
        rows = [lead + name + between + b"0" * 24 + b'","metrics":{' + pair + b"}}" for pair in pairs]
        behind = [len(lead + name + between)] * len(rows)
    body = bytearray(first + separator.join(rows) + last)
    lengths = np.array([len(row) + len(separator) for row in rows], np.int64)
    starts = len(first) + np.cumsum(lengths) - lengths
    names_at = starts + len(lead) + NAME_BYTES - WORD_BYTES
    return TextTemplate(body, names_at, starts + np.array(behind, np.int64), shape.form)


# --- Arrow -----------------------------------------------------------------------------------------------


class ArrowTemplate:
    """An Arrow stream of one record batch: `device` as a dictionary, `ts` in microseconds, doubles."""

    def __init__(self, body: bytearray, shape: Shape) -> None:
        self.body = body
        buffer = pa.py_buffer(body)
        with pa.ipc.open_stream(buffer) as reader:
            batch = reader.read_next_batch()
        device, moments = batch.column(0), batch.column(1)
        self._names = _view(
            body, buffer, device.dictionary.buffers()[2], f"S{NAME_BYTES}", shape.devices_each
        )
        self._places = _view(body, buffer, device.indices.buffers()[1], "<i4", shape.rows)
        self._moments = _view(body, buffer, moments.buffers()[1], "<i8", shape.rows)

    def fill(self, share: Share, places: Int32s, moments_us: Int64s) -> None:
        """See `Template`."""
        self._names[:] = share.text
        self._places[:] = places
        self._moments[:] = np.repeat(moments_us, len(places) // len(moments_us))


def _view(body: bytearray, whole: Any, part: Any, kind: str, count: int) -> npt.NDArray[Any]:
    """A column's buffer inside the body, writeable."""
    return np.frombuffer(body, kind, count, part.address - whole.address)


def _make_arrow(shape: Shape, rng: np.random.Generator) -> ArrowTemplate:
    names = pa.array([device_name(place) for place in range(shape.devices_each)])
    places = pa.array(np.zeros(shape.rows, np.int32))
    columns = {
        "device": pa.DictionaryArray.from_arrays(places, names),
        "ts": pa.array(np.zeros(shape.rows, np.int64), pa.timestamp("us", tz="UTC")),
    }
    columns |= dict(
        zip(metric_names(shape.metrics), map(pa.array, _values(shape.metrics, shape.rows, rng)), strict=True)
    )
    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return ArrowTemplate(bytearray(sink.getvalue()), shape)
