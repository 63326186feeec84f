"""Reads a request's body and unpacks it, within limits.

Keeps true: never more than the limit is held, neither packed nor unpacked, whatever the sender declares; and
all bodies that are being worked on together stay below one bound, over which new ones are told to come later.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ParamSpec, TypeVar

import zstandard

from kilowatch.errors import Problem

Asked = ParamSpec("Asked")
Given = TypeVar("Given")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

GZIP_WINDOW = 16 + zlib.MAX_WBITS
ZSTD_WINDOW_MAX = 128 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"


UNPACK_BESIDE_BYTES = 256 * 1024
DECODE_BESIDE_BYTES = 2 * 1024 * 1024
"""Bodies larger than this are unpacked, or read, beside the event loop, so that small ones do not wait."""


class SenderGone(Exception):
    """The sender closed the connection before its body was complete; nobody waits for an answer."""


class HeldBytes:
    """Counts the bytes of all bodies in work; `most` is the bound."""

    __slots__ = ("held", "most")

    def __init__(self, most: int) -> None:
        self.held = 0
        self.most = most

    def take(self, count: int) -> None:
        """Adds `count` bytes.

        Raises:
            Problem: 503 when they do not fit; nothing is added then.
        """
        if self.held + count > self.most:
            raise Problem(
                503,
                "busy",
                "more requests are being taken in than fit in memory; send it again",
                retry_after_s=1,
            )
        self.held += count

    def has_room(self, count: int) -> bool:
        """Whether `count` more bytes fit."""
        return self.held + count <= self.most

    def give(self, count: int) -> None:
        """Takes `count` bytes off again."""
        self.held -= count


async def read_body(receive: Receive, declared: int, most: int, held: HeldBytes) -> bytes:
    """The body as it came. `declared` is its Content-Length, -1 when there is none. Its bytes count as held
    afterwards, and the caller gives them back; they do not when this raises.

    Raises:
        Problem: 413 above `most` bytes, 503 when too much is held.
        SenderGone: when the connection ends within the body.
    """
    if declared > most:
        raise too_large(most)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise SenderGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > most:
            raise too_large(most)
        held.take(len(body))
        return body
    return await _read_parts(receive, body, max(declared, 0), most, held)


async def _read_parts(receive: Receive, first: bytes, room: int, most: int, held: HeldBytes) -> bytes:
    """The rest of a body that comes in several parts; what was declared is held from the start."""
    parts, size, more = [first], len(first), True
    room = max(room, size)
    held.take(room)
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise SenderGone
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            more = message.get("more_body", False)
            if size > most:
                raise too_large(most)
            if size > room:
                held.take(size - room)
                room = size
    except BaseException:
        held.give(room)
        raise
    held.give(room - size)
    return b"".join(parts)


async def beside(
    is_large: bool, work: Callable[Asked, Given], *args: Asked.args, **named: Asked.kwargs
) -> Given:
    """What `work` returns; done in a thread when the body is large."""
    if is_large:
        return await asyncio.to_thread(work, *args, **named)
    return work(*args, **named)


async def unpack_beside(body: bytes, encoding: bytes, most: int) -> bytes:
    """What `unpack` returns; large bodies do not keep the event loop waiting."""
    return await beside(len(body) > UNPACK_BESIDE_BYTES, unpack, body, encoding, most)


def unpack(body: bytes, encoding: bytes, most: int) -> bytes:
    """The body without its Content-Encoding (`gzip`, `zstd` or `identity`).

    Raises:
        Problem: 400 when it is not packed as declared, 413 when it is larger than `most` unpacked,
            415 for an encoding that is not taken.
    """
    match encoding.strip().lower():
        case b"" | b"identity":
            return body
        case b"gzip" | b"x-gzip":
            return _gunzip(body, most)
        case b"zstd":
            return _unzstd(body, most)
        case other:
            name = other.decode("latin-1")[:40]
            raise Problem(
                415, "unsupported_encoding", f"Content-Encoding {name!r} is not taken; use gzip or zstd"
            )


def _gunzip(body: bytes, most: int) -> bytes:
    """All members of a gzip file, one after another."""
    parts: list[bytes] = []
    room, rest = most, body
    while True:
        stream = zlib.decompressobj(GZIP_WINDOW)
        try:
            part = stream.decompress(rest, room + 1)
        except zlib.error as error:
            raise _badly_packed("gzip", str(error)) from error
        if len(part) > room:
            raise too_large(most)
        if not stream.eof:
            raise _badly_packed("gzip", "it ends too early")
        parts.append(part)
        room -= len(part)
        rest = stream.unused_data
        if not rest.startswith(GZIP_MAGIC):
            break
    if rest.strip(b"\0"):
        raise _badly_packed("gzip", "something follows its end")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(body: bytes, most: int) -> bytes:
    """All frames of a zstd file, one after another."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX).stream_reader(
            body, read_across_frames=True
        ) as stream:
            whole = stream.read(most + 1)
        if len(whole) > most:
            raise too_large(most)
        _check_zstd_ends(body)
    except zstandard.ZstdError as error:
        raise _badly_packed("zstd", str(error)) from error
    return whole


def _check_zstd_ends(body: bytes) -> None:
    """The reader takes a cut file for a short one, so each frame's end is looked for. Called when the size is
    known to be within the limit."""
    rest = body
    while rest:
        frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX).decompressobj()
        frame.decompress(rest)
        if not frame.eof:
            raise _badly_packed("zstd", "it ends too early")
        rest = frame.unused_data


def _badly_packed(name: str, why: str) -> Problem:
    return Problem(400, "bad_encoding", f"the body is not valid {name}: {why}")


def too_large(most: int) -> Problem:
    """The refusal of a body above the limit."""
    return Problem(413, "too_large", f"the body is larger than {most} bytes; send it in smaller parts")
