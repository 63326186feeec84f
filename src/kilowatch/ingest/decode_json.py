"""JSON bodies as columns: one reading, an array of readings, or one reading a line.

Keeps true that the result is the same whichever way a body takes: the columnar way (`json_columns`) for
bodies whose readings all look alike, typed decoding for the rest, and reading by reading where typed decoding
fails, so that each bad reading is found and named.
"""

import json
import math
from collections.abc import Sequence
from typing import NoReturn

import msgspec
import numpy as np

from kilowatch.errors import Problem
from kilowatch.ingest.alike import Unlike
from kilowatch.ingest.batch import Batch, Draft, Limits, Reject, StateCell, device_of, finish, shown, storable
from kilowatch.ingest.json_columns import read_json, read_ndjson
from kilowatch.ingest.moments import TIME_FAULT, parse_cells
from kilowatch.ingest.names import NameTable
from kilowatch.ingest.rows import columns_of, places_of

BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"

# What decoders raise on a body that is not what they expect; deep nesting ends in RecursionError.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Plain(msgspec.Struct):
    """A reading as nearly all senders write it: every value is a number."""

    metrics: dict[str, float]
    device: str = ""
    ts: str | int | float | None = None


class _Constant(str):
    """`NaN` or `Infinity` bare in the body, which is no JSON but is written by many programs."""

    __slots__ = ()


class _BadReading(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


_ONE = msgspec.json.Decoder(Plain)
_MANY = msgspec.json.Decoder(list[Plain])
_PIECES = msgspec.json.Decoder(list[msgspec.Raw])


def decode_json(body: bytes, limits: Limits, known: NameTable, *, device: str | None = None) -> Batch:
    """The readings of a JSON object or array. `device`: whose they are, where the door tells (MQTT).

    Raises:
        Problem: 400 if the body is no JSON, or neither an object nor an array.
    """
    body = body.removeprefix(BOM)
    try:
        draft = read_json(body, limits, known, device)
    except Unlike:
        draft = draft_of_json(body, limits, device)
    return finish(draft, limits, known)


def decode_ndjson(body: bytes, limits: Limits, known: NameTable, *, device: str | None = None) -> Batch:
    """The readings of a body with one JSON object a line; blank lines do not count.

    Raises:
        Problem: 400 if there are lines and none of them is JSON.
    """
    body = body.removeprefix(BOM)
    try:
        draft = read_ndjson(body, limits, known, device)
    except Unlike:
        draft = draft_of_lines(body, limits, device)
    return finish(draft, limits, known)


def plain_readings(body: bytes) -> Sequence[Plain] | None:
    """The readings of a JSON object or array where every value is a number; None for any other body, which
    `decode_json` then judges."""
    try:
        if body[:1] == b"{":
            return (_ONE.decode(body),)
        return _MANY.decode(body) if body[:1] == b"[" else None
    except _UNREADABLE:
        return None


def batch_of_plain(plain: Sequence[Plain], limits: Limits, known: NameTable) -> Batch:
    """Readings of any number of `plain_readings` as one batch."""
    return finish(_draft_of_plain(plain, limits, None), limits, known)


def draft_of_json(body: bytes, limits: Limits, device: str | None) -> Draft:
    """The readings of a JSON object or array, by decoding each."""
    start = body[:64].lstrip(BLANK)[:1] or body.lstrip(BLANK)[:1]
    if not start:
        raise Problem(400, "malformed", "the body is empty: send a reading or an array of readings")
    if start not in (b"{", b"["):
        raise Problem(400, "malformed", "the body is neither a JSON object nor an array of them (byte 0)")
    try:
        plain = _MANY.decode(body) if start == b"[" else [_ONE.decode(body)]
    except _UNREADABLE:
        return _draft_of_pieces(_pieces(body, start == b"["), limits, device)
    return _draft_of_plain(plain, limits, device)


def draft_of_lines(body: bytes, limits: Limits, device: str | None) -> Draft:
    """The readings of lines, by decoding each."""
    try:
        plain = _ONE.decode_lines(body)
    except _UNREADABLE:
        lines = [line for line in body.split(b"\n") if line.strip(BLANK)]
        draft = _draft_of_pieces(lines, limits, device)
        if not len(draft.device) and all(isinstance(reject.payload, str) for reject in draft.rejects):
            detail = f"no line of the body is a JSON object; the first: {draft.rejects[0].detail}"
            raise Problem(400, "malformed", detail) from None
        return draft
    return _draft_of_plain(plain, limits, device)


def _pieces(body: bytes, many: bool) -> Sequence[object]:
    """The readings of a body: decoded, or still as bytes where not all of them can be."""
    try:
        return msgspec.json.decode(body) if many else [msgspec.json.decode(body)]
    except _UNREADABLE as error:
        if not many:
            return [_loosely(body, error)]
    try:
        return [bytes(piece) for piece in _PIECES.decode(body)]
    except _UNREADABLE as error:
        readings = _loosely(body, error)
        return readings if isinstance(readings, list) else [readings]


def _loosely(body: bytes, error: Exception) -> object:
    """A body that is JSON but for bare `NaN` and `Infinity`, or whose numbers are too large to hold."""
    try:
        return json.loads(body, parse_constant=_Constant, parse_int=_whole)
    except (ValueError, RecursionError):
        _refuse(body, error)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def _refuse(body: bytes, error: Exception) -> NoReturn:
    raise Problem(400, "malformed", f"the body is no JSON: {_reason(body, error)}") from error


def _reason(text: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    reason = str(error).removeprefix("JSON is malformed: ")
    return reason if "byte " in reason else f"{reason[:1].lower()}{reason[1:]} (byte {len(text)})"


def _draft_of_plain(plain: Sequence[Plain], limits: Limits, device: str | None) -> Draft:
    def payload(row: int) -> object:
        return {name: value for name, value in msgspec.to_builtins(plain[row]).items() if value != ""}

    metrics = [reading.metrics for reading in plain]
    columns, faults = columns_of(metrics, limits.max_metrics)
    ts_us, bad_times = parse_cells([reading.ts for reading in plain], limits.now_us)
    senders = [reading.device for reading in plain]
    if device is not None:
        foreign = [row for row, name in enumerate(senders) if name not in ("", device)]
        faults.update((row, ("bad_shape", _foreign(device))) for row in foreign)
        senders = [device] * len(plain)
    names, places = places_of(senders)
    index = np.arange(len(plain), dtype=np.int32)
    draft = Draft(places, names, ts_us, columns, index, payload, faults=faults)
    draft.blame([row for row, values in enumerate(metrics) if not values], "bad_shape", "no metrics")
    draft.blame(bad_times, "bad_timestamp", TIME_FAULT)
    return draft


def _foreign(device: str) -> str:
    return f"the reading names another device than {device}, for which it was sent"


def _draft_of_pieces(pieces: Sequence[object], limits: Limits, device: str | None) -> Draft:
    """Reading by reading; a piece is the decoded reading or its bytes."""
    rows: list[tuple[int, object]] = []
    senders: list[str] = []
    times: list[object] = []
    metrics: list[dict[str, float]] = []
    states: list[StateCell] = []
    rejects: list[Reject] = []
    for index, piece in enumerate(pieces):
        reading: object = None
        try:
            reading = _decoded(piece) if isinstance(piece, bytes) else piece
            sender, numbers, texts = _told(reading, device, limits.max_metrics)
        except _BadReading as bad:
            payload = storable(
                piece.decode("utf-8", "replace") if reading is None and isinstance(piece, bytes) else reading
            )
            rejects.append(Reject(index, bad.code, bad.detail, device or device_of(payload), payload))
            continue
        states.extend(StateCell(len(rows), name, text) for name, text in texts.items())
        rows.append((index, reading))
        senders.append(sender)
        times.append(reading.get("ts"))  # type: ignore[attr-defined]
        metrics.append(numbers)
    columns, faults = columns_of(metrics, limits.max_metrics)
    ts_us, bad_times = parse_cells(times, limits.now_us)
    names, places = places_of(senders)
    index_of = np.fromiter((row[0] for row in rows), np.int32, len(rows))
    draft = Draft(places, names, ts_us, columns, index_of, lambda row: rows[row][1], states, faults, rejects)
    draft.blame(bad_times, "bad_timestamp", TIME_FAULT)
    return draft


def _decoded(piece: bytes) -> object:
    try:
        return msgspec.json.decode(piece)
    except _UNREADABLE as error:
        if not isinstance(error, RecursionError):
            try:
                return json.loads(piece, parse_constant=_Constant, parse_int=_whole)
            except (ValueError, RecursionError):
                pass
        raise _BadReading("bad_shape", f"no JSON: {_reason(piece, error)}") from None


def _told(
    reading: object, device: str | None, max_metrics: int
) -> tuple[str, dict[str, float], dict[str, str]]:
    """Device, numbers and named states of a reading.

    Raises:
        _BadReading: if it is not shaped like a reading or a value is none.
    """
    if not isinstance(reading, dict):
        raise _BadReading("bad_shape", "a reading is a JSON object with device, ts and metrics")
    sender, metrics = reading.get("device"), reading.get("metrics")
    if not isinstance(metrics, dict):
        raise _BadReading("bad_shape", "metrics is no object of names and values")
    if device is not None and sender in (None, ""):
        sender = device
    if not isinstance(sender, str):
        raise _BadReading("bad_shape", "device is no text" if "device" in reading else "no device")
    if device not in (None, sender):
        raise _BadReading("bad_shape", _foreign(device or ""))
    if len(metrics) > max_metrics:
        raise _BadReading("too_many_metrics", f"more than {max_metrics} metrics in one reading")
    numbers, texts = _values(metrics)
    if not numbers and not texts:
        raise _BadReading("bad_shape", "no metrics")
    return sender, numbers, texts


def _values(metrics: dict[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in metrics.items():
        if isinstance(value, str) and not isinstance(value, _Constant):
            texts[name] = value
        elif value is not None:
            numbers[name] = _number(name, value)
    return numbers, texts


def _number(name: str, value: object) -> float:
    if isinstance(value, _Constant):
        raise _BadReading("not_finite", f"{shown(name)} is {value}")
    if not isinstance(value, int | float):
        raise _BadReading("bad_shape", f"{shown(name)} is neither a number, a boolean nor a state's name")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _BadReading("out_of_range", f"{shown(name)} is too large a number")
    return number
