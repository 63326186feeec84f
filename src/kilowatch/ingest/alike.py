"""Bodies whose readings all look alike, read into columns without an object per reading.

A template, learnt from the first reading, says which bytes are the same in all readings and where the device,
the time and the values stand between them. Keeps true that every byte of the body is either compared with the
template or read as part of a value; at the first difference the body is `Unlike` and is to be read another
way, so that this way is only ever fast, never different.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kilowatch.ids import DEVICE_ID
from kilowatch.ingest.batch import Draft, Floats, Int32s, Int64s
from kilowatch.ingest.digits import WIDEST_WHOLE, decimals, long_decimals, wholes
from kilowatch.ingest.moments import FAR_US, parse_words
from kilowatch.ingest.names import NAME_BYTES, NameTable, cut_words

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Kind = Literal["fixed", "skip", "device", "time", "metric", "whole"]

VALUES = ("metric", "whole")
CHUNK_BYTES = 1 << 19
SHORTEST_BODY = 4096

_FULL = np.uint64((1 << 64) - 1)


class Unlike(Exception):
    """The readings of a body do not all look like its first one, or hold something unusual."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What lies from one separator to the next: fixed bytes, a token, fixed bytes.

    kind: `fixed` has no token, `skip` one that is not read, `whole` one of digits only; literal: all fixed
    bytes up to the token (and those of a fixed piece before), the first `reach` of them before the separator;
    tail: how many fixed bytes follow the token, which the next piece's literal holds.
    """

    kind: Kind
    name: str
    literal: bytes
    reach: int
    tail: int


@dataclass(frozen=True, slots=True)
class Template:
    """What all readings of a body have in common.

    separators: marks where the separators are; opening: all bytes between the last value of a reading and
    the next one's own text; closing: those of them up to the separator; per_us: what turns
    time units into microseconds (multiply, divide), None where times are RFC 3339 texts; cell: the value of
    an unusual token.
    """

    pieces: tuple[Piece, ...]
    separators: Callable[[Bytes, Mask], None]
    opening: bytes
    closing: bytes
    per_us: tuple[int, int] | None
    cell: Callable[[bytes], float]


def read_alike(
    template: Template, body: bytes, start: int, stop: int, known: NameTable, now_us: int
) -> tuple[Draft, Int64s]:
    """The readings in `body[start:stop]`, from the first one's text to the end of the last one's last value;
    and where each of them begins, which for now is the payload too.

    Raises:
        Unlike: if they do not follow the template.
    """
    if b"\0" in body:
        raise Unlike
    fresh: dict[bytes, int] = {}
    layout = _Layout(template)
    parts = [
        _Chunk(layout, body, first, last, known, fresh).read()
        for first, last in _chunks(template, body, start, stop)
    ]
    names = [name.decode() for name in fresh]
    values = np.concatenate([part.values for part in parts], axis=1)
    metrics = [piece.name for piece in template.pieces if piece.kind in VALUES]
    count = values.shape[1]
    starts = np.concatenate([part.starts for part in parts])
    draft = Draft(
        np.concatenate([part.device for part in parts]),
        names,
        np.concatenate(
            [np.full(len(part.device), now_us) if part.ts_us is None else part.ts_us for part in parts]
        ),
        dict(zip(metrics, values, strict=True)),
        np.arange(count, dtype=np.int32),
        starts.__getitem__,
        looked_up=True,
    )
    _leave_out_absent(draft)
    return draft, starts


def _leave_out_absent(draft: Draft) -> None:
    """Treats what is null everywhere as not sent: columns, and readings without any value."""
    for name in [name for name, column in draft.columns.items() if np.isnan(column[0])]:
        if np.isnan(draft.columns[name]).all():
            del draft.columns[name]
    empty = np.ones(len(draft.device), np.bool_)
    for column in draft.columns.values():
        empty &= np.isnan(column)
        if not empty.any():
            return
    draft.blame(np.flatnonzero(empty), "bad_shape", "no metrics")


def _chunks(template: Template, body: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cuts the body between readings into parts whose arrays fit into the processor's cache."""
    lead = len(template.opening)
    seam = template.pieces[0].literal
    while stop - start > CHUNK_BYTES * 3 // 2:
        cut = body.find(seam, start + CHUNK_BYTES, stop)
        if cut < 0:
            raise Unlike
        yield start, cut
        start = cut + lead
    yield start, stop


class _Layout:
    """A template as numbers, worked out once a body; the arrays have one row per piece.

    All literals end at the same word, so that pieces can be read together: a window starts `back` bytes
    before a piece's separator and holds `fixed` words, to be compared under `masks`, then the token's words.
    """

    def __init__(self, template: Template) -> None:
        pieces = template.pieces
        self.template = template
        self.fixed = (max(len(piece.literal) for piece in pieces) + 7) // 8
        size = 8 * self.fixed
        self.room = 2 * size + NAME_BYTES + 16
        padded = b"".join(piece.literal.rjust(size, b"\0") for piece in pieces)
        masks = b"".join((b"\xff" * len(piece.literal)).rjust(size, b"\0") for piece in pieces)
        self.literals = np.frombuffer(padded, "<u8").reshape(len(pieces), self.fixed)
        self.masks = np.frombuffer(masks, "<u8").reshape(len(pieces), self.fixed)
        self.back = np.array([size + piece.reach - len(piece.literal) for piece in pieces])[:, None]
        self.offset = np.array([len(piece.literal) - piece.reach for piece in pieces])
        self.extra = self.offset + [piece.tail for piece in pieces]

    def of(self, *kinds: str) -> list[int]:
        """The pieces of these kinds."""
        return [place for place, piece in enumerate(self.template.pieces) if piece.kind in kinds]


@dataclass(slots=True)
class _Part:
    """The columns of one chunk."""

    device: Int32s
    ts_us: Int64s | None
    values: Floats
    starts: Int64s


class _Scratch(threading.local):
    """Memory that every chunk uses again: fresh memory of this size costs more than the work in it."""

    def __init__(self) -> None:
        self.text = np.empty(0, np.uint8)
        self.mask = np.empty(0, np.bool_)

    def reserve(self, size: int) -> tuple[Bytes, Mask]:
        if len(self.text) < size:
            self.text = np.zeros(size, np.uint8)
            self.mask = np.zeros(size, np.bool_)
        return self.text[:size], self.mask[:size]


_scratch = _Scratch()


class _Chunk:
    """One chunk: its bytes with room around them, where its pieces begin, how long their tokens are."""

    def __init__(
        self, layout: _Layout, body: bytes, first: int, last: int, known: NameTable, fresh: dict[bytes, int]
    ) -> None:
        self.layout = layout
        self.known = known
        self.fresh = fresh
        self.first = first
        template, room = layout.template, layout.room
        begin = room + len(template.opening)
        end = begin + last - first
        size = end + len(template.closing) + room
        self.text, mask = _scratch.reserve(size)
        self.text[room:begin] = np.frombuffer(template.opening, np.uint8)
        self.text[begin:end] = np.frombuffer(body, np.uint8, last - first, first)
        self.text[end : size - room] = np.frombuffer(template.closing, np.uint8)
        inner = slice(room, size - room)
        template.separators(self.text[inner], mask[inner])
        places = np.flatnonzero(mask[inner])
        places += room
        width = len(template.pieces)
        if len(places) % width != 1 or places[-1] != size - room - 1:
            raise Unlike
        self.count = len(places) // width
        self.begins = np.ascontiguousarray(places[:-1].reshape(self.count, width).T)
        self.lengths = np.ascontiguousarray(np.diff(places).reshape(self.count, width).T)
        self.lengths -= layout.extra[:, None]
        self.shortest = self.lengths.min(axis=1)
        self.longest = self.lengths.max(axis=1)

    def read(self) -> _Part:
        """The chunk's columns."""
        layout = self.layout
        for place, piece in enumerate(layout.template.pieces):
            if piece.kind == "fixed":
                if self.shortest[place] or self.longest[place]:
                    raise Unlike
            elif self.shortest[place] < 1:
                raise Unlike
        if skipped := layout.of("skip"):
            self._tokens(skipped, 0)
        times = layout.of("time")
        starts = self.begins[0] + (self.first - layout.room - layout.template.pieces[0].reach)
        return _Part(
            self._devices(layout.of("device")[0]),
            self._times(times[0]) if times else None,
            self._values(layout.of(*VALUES)),
            starts,
        )

    def _tokens(self, places: list[int], wanted: int) -> npt.NDArray[np.uint64]:
        """The tokens' first `wanted` words (word x piece x reading), after comparing all fixed bytes."""
        layout = self.layout
        fixed = layout.fixed
        size = 8 * (fixed + wanted)
        windows = np.ndarray(
            (len(self.text) - size + 1,), np.dtype((np.void, size)), buffer=self.text, strides=(1,)
        )
        begins = self.begins[places]
        begins -= layout.back[places]
        found = windows[begins.reshape(-1)].view("<u8").reshape(len(places), self.count, -1)
        masks, literals = layout.masks[places], layout.literals[places]
        for column in range(fixed):
            if not masks[:, column].any():
                continue
            words = found[:, :, column]
            if (masks[:, column] != _FULL).any():
                words = words & masks[:, column, None]
            if np.count_nonzero(words == literals[:, column, None]) != words.size:
                raise Unlike
        return np.ascontiguousarray(found[:, :, fixed:].transpose(2, 0, 1))

    def _devices(self, place: int) -> Int32s:
        lengths, shortest, longest = self.lengths[place], int(self.shortest[place]), int(self.longest[place])
        if longest > NAME_BYTES:
            raise Unlike
        words = self._tokens([place], min(longest, NAME_BYTES - 1) // 8 + 1)[:, 0]
        cut_words(words, lengths, shortest, longest)
        numbers = self.known.find(words)
        if len(numbers) and int(numbers.min()) < 0:
            self._name_fresh(numbers, place)
        return numbers

    def _name_fresh(self, numbers: Int32s, place: int) -> None:
        """Gives the devices that are not known a place among the fresh names."""
        unknown = np.flatnonzero(numbers < 0)
        begins = self.begins[place, unknown] + self.layout.offset[place]
        places = [self._fresh_place(token) for token in self._cut(begins, self.lengths[place, unknown])]
        numbers[unknown] = ~np.array(places, np.int32)

    def _fresh_place(self, name: bytes) -> int:
        place = self.fresh.get(name)
        if place is None:
            if not (name.isascii() and DEVICE_ID.fullmatch(name.decode())):
                raise Unlike
            place = self.fresh[name] = len(self.fresh)
        return place

    def _cut(self, begins: Int64s, lengths: Int64s) -> Iterator[bytes]:
        """Tokens as bytes."""
        text = self.text.data
        for begin, end in zip(begins.tolist(), (begins + lengths).tolist(), strict=True):
            yield bytes(text[begin:end])

    def _times(self, place: int) -> Int64s:
        lengths, shortest, longest = self.lengths[place], int(self.shortest[place]), int(self.longest[place])
        per_us = self.layout.template.per_us
        if per_us is None:
            words = self._tokens([place], max(3, min(4, (longest + 7) // 8)))[:, 0]
            ts_us, good = parse_words(words, lengths)
            if not good.all():
                raise Unlike
            return ts_us
        wanted = (longest + 7) // 8
        if longest > WIDEST_WHOLE or shortest <= 8 * (wanted - 1):
            raise Unlike
        words = self._tokens([place], wanted)[:, 0]
        whole, good = wholes(words, lengths)
        multiply, divide = per_us
        if not good.all() or int(whole.max()) > FAR_US * divide // multiply:
            raise Unlike
        if longest > 1 and ((words[0] & np.uint64(0xFF)) == ord("0")).any():
            raise Unlike
        if divide > 1:
            whole //= np.uint64(divide)
        if multiply > 1:
            whole *= np.uint64(multiply)
        return whole.view(np.int64)

    def _values(self, places: list[int]) -> Floats:
        """All metrics' values; those whose tokens fit into one word are read together, so are the others."""
        values = np.empty((len(places), self.count), np.float64)
        for wanted in (1, 2):
            rows = [row for row, place in enumerate(places) if (self.longest[place] > 8) == (wanted == 2)]
            if not rows:
                continue
            chosen = [places[row] for row in rows]
            words = self._tokens(chosen, wanted).reshape(wanted, -1)
            lengths = self.lengths[chosen].reshape(-1)
            read, good, behind = decimals(words, lengths)
            self._check_wholes(chosen, good, behind)
            if not good.all():
                begins = (self.begins[chosen] + self.layout.offset[chosen, None]).reshape(-1)
                odd = np.flatnonzero(~good)
                read[odd] = self._odd_values(begins[odd], lengths[odd])
            values[rows] = read.reshape(len(rows), self.count)
        return values

    def _check_wholes(self, places: list[int], good: Mask, behind: Words) -> None:
        for row, place in enumerate(places):
            if self.layout.template.pieces[place].kind == "whole":
                cells = slice(row * self.count, (row + 1) * self.count)
                if not good[cells].all() or behind[cells].any():
                    raise Unlike

    def _odd_values(self, begins: Int64s, lengths: Int64s) -> Floats:
        """The values of tokens that are no short decimals: long ones together, all others one by one."""
        values, good = long_decimals(self.text, begins, lengths)
        if not good.all():
            cell = self.layout.template.cell
            rest = np.flatnonzero(~good)
            values[rest] = [cell(token) for token in self._cut(begins[rest], lengths[rest])]
        return values
