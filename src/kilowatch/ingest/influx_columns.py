"""Line protocol whose lines all look alike: the template of the first line, and the columns of all.

Owns what a line must look like for the columnar way: ASCII without quotes, escapes and comments, one device
tag, fields of numbers, and either a timestamp in every line or in none. Everything else is `Unlike`.
"""

import re
from collections.abc import Callable

import numpy as np

from kilowatch.ingest.alike import SHORTEST_BODY, Bytes, Kind, Mask, Piece, Template, Unlike, read_alike
from kilowatch.ingest.batch import Draft, Limits, metric_fault, slug_or_none
from kilowatch.ingest.names import NameTable

DEVICE_TAGS = ("device", "device_id", "host")

_LINE = re.compile(rb"([^ ,#]+)((?:,[^ ,=]+=[^ ,]+)+) ([^ ]+)(?: ([0-9]+))?")
_WHOLE = re.compile(rb"-?[0-9]+[iu]")


def read_influx(
    body: bytes, limits: Limits, known: NameTable, unit_ns: int, cell: Callable[[bytes], float]
) -> Draft:
    """The readings of a body in line protocol; `cell` gives the value of an unusual token or raises Unlike.

    Raises:
        Unlike: if the lines do not all look like the first, or are too few to be worth it.
    """
    stop = len(body) - body.endswith(b"\n")
    if stop < SHORTEST_BODY or b"\\" in body or b'"' in body or not body.isascii():
        raise Unlike
    template = _template(body[: body.index(b"\n") if b"\n" in body else stop], limits, unit_ns, cell)
    tail = template.closing[:-1]
    if body[stop - len(tail) : stop] != tail:
        raise Unlike
    draft, starts = read_alike(template, body, 0, stop - len(tail), known, limits.now_us)

    def line(row: int) -> str:
        begin = int(starts[row])
        end = body.find(b"\n", begin)
        return body[begin : end if end >= 0 else stop].decode()

    head = next(piece.literal for piece in template.pieces if piece.kind == "device")
    draft.payload = line
    draft.sender = lambda row: slug_or_none(_device(line(row), head))
    draft.place = lambda row: f"line {row + 1}: "
    return draft


def _device(line: str, literal: bytes) -> str:
    tag = literal.decode().rpartition(",")[2]
    return next(part for part in line.partition(" ")[0].split(",") if part.startswith(tag))[len(tag) :]


def _template(line: bytes, limits: Limits, unit_ns: int, cell: Callable[[bytes], float]) -> Template:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Unlike
    measurement, tags, fields, stamp = match.groups()
    parts = _tags(tags[1:].split(b",")) + _fields(fields.split(b","), limits.max_metrics)
    if stamp is not None:
        parts.append(("time", "", b" ", b""))
    opening = parts[-1][3] + b"\n"
    pieces = [Piece("fixed", "", opening + measurement, len(opening) - 1, 0)]
    before = pieces[0].literal
    for kind, name, lead, tail in parts:
        pieces.append(Piece(kind, name, before + lead, len(before), len(tail)))
        before = tail
    per_us = (unit_ns // 1000, 1) if unit_ns >= 1000 else (1, 1000 // unit_ns)
    return Template(tuple(pieces), _separators, opening, opening, per_us, cell)


def _tags(tags: list[bytes]) -> list[tuple[Kind, str, bytes, bytes]]:
    """Kind, name, and the bytes before and after the value of each tag."""
    keys = [tag.partition(b"=")[0].decode() for tag in tags]
    sender = next((tag for tag in DEVICE_TAGS if tag in keys), None)
    if sender is None or len(set(keys)) < len(keys):
        raise Unlike
    return [("device" if key == sender else "skip", key, f",{key}=".encode(), b"") for key in keys]


def _fields(fields: list[bytes], max_metrics: int) -> list[tuple[Kind, str, bytes, bytes]]:
    """The same for fields."""
    found: list[tuple[Kind, str, bytes, bytes]] = []
    for field in fields:
        key, _, value = field.partition(b"=")
        tail = value[-1:] if _WHOLE.fullmatch(value) else b""
        lead = (b"," if found else b" ") + key + b"="
        found.append(("whole" if tail else "metric", key.decode(), lead, tail))
    names = [name for _, name, _, _ in found]
    if len(set(names)) < len(names) or len(names) > max_metrics or any(map(metric_fault, names)):
        raise Unlike
    return found


def _separators(text: Bytes, found: Mask) -> None:
    """Marks newlines, spaces and commas, and some bytes that then do not fit the template."""
    np.less_equal(text, ord(","), out=found)
