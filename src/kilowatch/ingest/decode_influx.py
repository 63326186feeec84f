"""InfluxDB line protocol as columns: each line is a reading, its fields are metrics.

The tag `device` (or `device_id`, `host`) names the device; the measurement and all other tags say nothing
that Kilowatch keeps. Keeps true that a bad line is one reject, told with its number, and that the columnar
way (`influx_columns`) for bodies whose lines look alike gives the same as reading line by line.
"""

import math
import re
from collections.abc import Iterator

import numpy as np

from kilowatch.errors import Problem
from kilowatch.ingest.alike import Unlike
from kilowatch.ingest.batch import (
    Batch,
    Draft,
    Limits,
    Reject,
    StateCell,
    finish,
    shown,
    slug_or_none,
    storable,
)
from kilowatch.ingest.influx_columns import read_influx
from kilowatch.ingest.moments import FAR_US
from kilowatch.ingest.names import NameTable
from kilowatch.ingest.rows import columns_of, places_of

# Nanoseconds in one unit of a timestamp, by the name that senders give in `precision`.
PRECISIONS = {
    "n": 1, "ns": 1, "u": 1000, "us": 1000, "µ": 1000, "µs": 1000, "μ": 1000, "μs": 1000,
    "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
}  # fmt: skip
TRUTHS = {
    "t": 1.0, "T": 1.0, "true": 1.0, "True": 1.0, "TRUE": 1.0,
    "f": 0.0, "F": 0.0, "false": 0.0, "False": 0.0, "FALSE": 0.0,
}  # fmt: skip

_BAD_TAGS = "the measurement and tags are not like name,tag=value,tag=value"
_BAD_FIELDS = "the fields are not like name=value,name=value"
_TAG = re.compile(r",((?:\\.|[^\\=, ])+)=((?:\\.|[^\\, ])+)")
_FIELD = re.compile(r'((?:\\.|[^\\=, "])+)=("(?:\\.|[^"\\])*"|[^", ]+)(,|(?= )|$)')
_MEASUREMENT = re.compile(r"(?:\\.|[^\\, ])+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"[-+]?[0-9]+[iu]")
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
_STAMP = re.compile(r"[-+]?[0-9]+")
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_IN_QUOTES = re.compile(r'\\(["\\])')


class _BadLine(Exception):
    def __init__(self, code: str, detail: str, device: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.device = device


def decode_influx(body: bytes, limits: Limits, known: NameTable, *, precision: str = "ns") -> Batch:
    """The readings of a body in line protocol; timestamps count units of `precision` since 1970.

    Raises:
        Problem: 400 if there is no such precision.
    """
    unit_ns = PRECISIONS.get(precision)
    if unit_ns is None:
        raise Problem(400, "malformed", f"precision {shown(precision)} is none of ns, us, ms, s, m, h")
    try:
        draft = read_influx(body, limits, known, unit_ns, _cell)
    except Unlike:
        draft = draft_of_lines(body, limits, unit_ns)
    return finish(draft, limits, known)


def _cell(token: bytes) -> float:
    try:
        return _number("", token.decode(), "")
    except _BadLine:
        raise Unlike from None


def draft_of_lines(body: bytes, limits: Limits, unit_ns: int) -> Draft:
    """The readings of a body, line by line."""
    kept: list[tuple[int, int, bytes]] = []
    senders: list[str] = []
    times: list[int] = []
    metrics: list[dict[str, float]] = []
    states: list[StateCell] = []
    rejects: list[Reject] = []
    for index, (number, line) in enumerate(_lines(body)):
        try:
            sender, numbers, texts, stamp = _told(line)
            ts_us = limits.now_us if stamp is None else _microseconds(stamp, unit_ns, sender)
        except _BadLine as bad:
            payload = storable(line.decode("utf-8", "replace"))
            device = slug_or_none(bad.device or "")
            rejects.append(Reject(index, bad.code, f"line {number}: {bad.detail}", device, payload))
            continue
        states.extend(StateCell(len(kept), name, text) for name, text in texts.items())
        kept.append((index, number, line))
        senders.append(sender)
        times.append(ts_us)
        metrics.append(numbers)
    columns, faults = columns_of(metrics, limits.max_metrics)
    names, places = places_of(senders)
    return Draft(
        places,
        names,
        np.array(times, np.int64),
        columns,
        np.fromiter((row[0] for row in kept), np.int32, len(kept)),
        lambda row: kept[row][2].decode(),
        states,
        faults,
        rejects,
        sender=lambda row: slug_or_none(senders[row]),
        place=lambda row: f"line {kept[row][1]}: ",
    )


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that hold a reading, with their numbers from 1; comments and blank lines do not."""
    for number, line in enumerate(body.split(b"\n"), 1):
        stripped = line.strip(b" \t\r")
        if stripped and not stripped.startswith(b"#"):
            yield number, stripped


def _told(raw: bytes) -> tuple[str, dict[str, float], dict[str, str], str | None]:
    """Device, numbers, named states and timestamp of a line."""
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        raise _BadLine("bad_shape", "not UTF-8") from None
    head, fields, stamp = _parts_plain(line) if "\\" not in line and '"' not in line else _parts(line)
    sender = head.get("device") or head.get("device_id") or head.get("host")
    if sender is None:
        raise _BadLine("bad_shape", "no tag device, device_id or host")
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in fields.items():
        if value[0] == '"':
            texts[name] = _ESCAPED_IN_QUOTES.sub(r"\1", value[1:-1])
        else:
            numbers[name] = _number(name, value, sender)
    return sender, numbers, texts, stamp


def _parts_plain(line: str) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Tags, fields and timestamp of a line without quotes and escapes."""
    head, _, rest = line.partition(" ")
    body, _, stamp = rest.strip(" ").partition(" ")
    measurement, *tags = head.split(",")
    told, values = _pairs(tags), _pairs(body.split(","))
    if not measurement or told is None:
        raise _BadLine("bad_shape", _BAD_TAGS)
    if values is None:
        raise _BadLine("bad_shape", _BAD_FIELDS)
    return told, values, stamp.strip(" ") or None


def _pairs(texts: list[str]) -> dict[str, str] | None:
    """Names and values of texts like `name=value`, or None if one is not like that."""
    try:
        pairs = dict([text.split("=", 1) for text in texts])
    except ValueError:
        return None
    return None if "" in pairs or "" in pairs.values() else pairs


def _parts(line: str) -> tuple[dict[str, str], dict[str, str], str | None]:
    """The same for any line."""
    measurement = _MEASUREMENT.match(line)
    if measurement is None:
        raise _BadLine("bad_shape", "no measurement")
    at, tags = measurement.end(), {}
    while tag := _TAG.match(line, at):
        tags[_plain(tag[1])] = _plain(tag[2])
        at = tag.end()
    if line[at : at + 1] != " ":
        raise _BadLine("bad_shape", _BAD_TAGS)
    while line[at : at + 1] == " ":
        at += 1
    fields, ending = {}, ","
    while ending and (field := _FIELD.match(line, at)):
        fields[_plain(field[1])] = field[2]
        at, ending = field.end(), field[3]
    if ending or not fields or line[at : at + 1] not in ("", " "):
        raise _BadLine("bad_shape", _BAD_FIELDS)
    return tags, fields, line[at:].strip(" ") or None


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _number(name: str, text: str, device: str) -> float:
    if _NUMBER.fullmatch(text):
        number = float(text)
    elif _WHOLE.fullmatch(text):
        number = float(text[:-1])
    elif text in TRUTHS:
        return TRUTHS[text]
    elif _NOT_FINITE.fullmatch(text):
        raise _BadLine("not_finite", f"{shown(name)} is {text}", device)
    else:
        raise _BadLine("bad_shape", f"{shown(name)} has the value {shown(text)}, which is none", device)
    if math.isinf(number):
        raise _BadLine("out_of_range", f"{shown(name)} is too large a number", device)
    return number


def _microseconds(stamp: str, unit_ns: int, device: str) -> int:
    if not _STAMP.fullmatch(stamp):
        raise _BadLine("bad_timestamp", f"{shown(stamp)} is no whole number of time units", device)
    if len(stamp) > 40:
        return -FAR_US if stamp[0] == "-" else FAR_US
    return max(-FAR_US, min(FAR_US, int(stamp) * unit_ns // 1000))
