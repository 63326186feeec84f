"""JSON readings that all look alike: the template of the first reading, and the columns of all.

Owns what a JSON reading must look like for the columnar way: scalars only, no escapes; device, time and
metrics in any order and with any constant whitespace. Everything else is `Unlike`.
"""

import math
import re
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np

from kilowatch.ingest.alike import SHORTEST_BODY, Bytes, Kind, Mask, Piece, Template, Unlike, read_alike
from kilowatch.ingest.batch import Draft, Limits, metric_fault
from kilowatch.ingest.names import NameTable

_SPACE = rb"[ \t\r\n]*"
_MEMBER = re.compile(
    rb"(?P<open>\{" + _SPACE + rb")?"
    rb'(?P<metrics>"metrics"' + _SPACE + rb":" + _SPACE + rb"\{" + _SPACE + rb")?"
    rb'"(?P<name>[^"\\]*)"' + _SPACE + rb":" + _SPACE + rb'(?:"(?P<text>[^"\\,]*)"|(?P<bare>[-+.0-9a-zE]+))'
    rb"(?P<close>" + _SPACE + rb"(?:\}" + _SPACE + rb"){0,2})"
)
_NEXT = {b",": re.compile(_SPACE + rb"," + _SPACE + rb"(?=\{)"), b"\n": re.compile(rb"\r?\n(?=\{)")}
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {b"true": 1.0, b"false": 0.0, b"null": math.nan}
_BLANK = b" \t\r\n"
_MOST_MEMBERS = 1000
_ANY = msgspec.json.Decoder()


@dataclass(slots=True)
class _Member:
    """A member of the first reading: `begin` and `end` of its value without quotes, `stop` of all before the
    separator."""

    kind: Kind
    name: str
    is_text: bool
    begin: int
    end: int
    stop: int


def read_json(body: bytes, limits: Limits, known: NameTable, device: str | None = None) -> Draft:
    """The readings of a JSON array.

    Raises:
        Unlike: if they do not all look like the first, or are too few to be worth it.
    """
    stop = len(body.rstrip(_BLANK)) - 1
    start = len(body) - len(body.lstrip(_BLANK))
    if device is not None or body[start : start + 1] != b"[" or body[stop : stop + 1] != b"]":
        raise Unlike
    return _read(body, start + 1, stop, b",", limits, known)


def read_ndjson(body: bytes, limits: Limits, known: NameTable, device: str | None = None) -> Draft:
    """The same for one reading a line."""
    if device is not None:
        raise Unlike
    return _read(body, 0, len(body), b"\n", limits, known)


def _read(body: bytes, start: int, stop: int, between: bytes, limits: Limits, known: NameTable) -> Draft:
    if stop - start < SHORTEST_BODY or b"\\" in body:
        raise Unlike
    start += len(body[start : start + 64]) - len(body[start : start + 64].lstrip(_BLANK))
    while body[stop - 1 : stop] in (b" ", b"\t", b"\r", b"\n"):
        stop -= 1
    members = _members(body, start)
    if len(members) > limits.max_metrics:
        raise Unlike
    template = _template(body, start, members, between)
    tail = template.closing[:-1].rstrip(_BLANK)
    if body[stop - len(tail) : stop] != tail:
        raise Unlike
    draft, starts = read_alike(template, body, start, stop - len(tail), known, limits.now_us)

    def payload(row: int) -> object:
        end = stop if row + 1 == len(starts) else int(starts[row + 1])
        return _ANY.decode(body[int(starts[row]) : end].rstrip(_BLANK + b","))

    draft.payload = payload
    return draft


def _members(body: bytes, start: int) -> list[_Member]:
    """The members of the reading that begins at `start`, its metrics among them."""
    members: list[_Member] = []
    depth, at = 0, start
    while True:
        match = _MEMBER.match(body, at)
        if match is None or (match["open"] is None) != bool(members) or len(members) > _MOST_MEMBERS:
            raise Unlike
        depth += (match["open"] is not None) + (match["metrics"] is not None)
        members.append(_member(match, depth))
        depth -= match["close"].count(b"}")
        at = match.end()
        if depth <= 0:
            break
        if body[at : at + 1] != b",":
            raise Unlike
        at += 1 + len(body[at + 1 : at + 65]) - len(body[at + 1 : at + 65].lstrip(_BLANK))
    names = [(member.kind, member.name) for member in members]
    kinds = [kind for kind, _ in names]
    if depth < 0 or len(set(names)) < len(names) or "metric" not in kinds or kinds.count("device") != 1:
        raise Unlike
    return members


def _member(match: re.Match[bytes], depth: int) -> _Member:
    group = "bare" if match["text"] is None else "text"
    kind: Kind = "metric"
    try:
        name = match["name"].decode()
    except UnicodeDecodeError:
        raise Unlike from None
    if depth == 2:
        if group == "text" or metric_fault(name):
            raise Unlike
    elif depth == 1 and name == "device" and group == "text":
        kind = "device"
    elif depth == 1 and name == "ts":
        kind = "time"
    else:
        raise Unlike
    return _Member(kind, name, group == "text", match.start(group), match.end(group), match.end())


def _template(body: bytes, start: int, members: list[_Member], between: bytes) -> Template:
    last = members[-1]
    last.stop = last.stop - len(body[last.end : last.stop]) + len(body[last.end : last.stop].rstrip(_BLANK))
    following = _NEXT[between].match(body, last.stop)
    if following is None:
        raise Unlike
    last.stop += following[0].index(between)
    opening = body[last.end : following.end()]
    pieces = [_piece(members[0], opening + body[start : members[0].begin], last)]
    for before, member in pairwise(members):
        pieces.append(_piece(member, body[before.end : member.begin], before))
    time = next((member for member in members if member.kind == "time"), None)
    per_us = (1000, 1) if time and not time.is_text else None
    separators = _commas if between == b"," else _commas_and_newlines
    return Template(tuple(pieces), separators, opening, body[last.end : last.stop] + between, per_us, _cell)


def _piece(member: _Member, literal: bytes, before: _Member) -> Piece:
    return Piece(member.kind, member.name, literal, before.stop - before.end, member.stop - member.end)


def _commas(text: Bytes, found: Mask) -> None:
    np.equal(text, ord(","), out=found)


def _commas_and_newlines(text: Bytes, found: Mask) -> None:
    np.equal(text, ord(","), out=found)
    found |= np.equal(text, ord("\n"))


def _cell(token: bytes) -> float:
    """A value that is no plain decimal: with an exponent, with many digits, or true, false or null."""
    if token in _WORDS:
        return _WORDS[token]
    value = float(token) if _NUMBER.fullmatch(token) else math.inf
    if math.isinf(value):
        raise Unlike
    return value
