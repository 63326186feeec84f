"""Visitors: connections that ask one after the other, as many at once as people look at a page.

Written for little cost, so that what is measured is the server: one request leaves when the last is answered,
and of an answer only the status and the length are read.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FAILURES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A request; the body is JSON text."""

    method: str
    path: str
    body: bytes = b""


@dataclass(slots=True)
class Answers:
    """What all visitors were answered."""

    waits: list[float] = field(default_factory=list)
    """Seconds from sending to the whole answer."""
    failures: list[str] = field(default_factory=list)
    """Answers that were no success, the first few."""


async def visit(
    port: int,
    headers: Callable[[int], dict[str, str]],
    question: Callable[[int], Question],
    visitors: int,
    rounds: int,
    pause_s: float = 0.0,
) -> Answers:
    """Lets `visitors` connections ask `rounds` times each, with a pause between; visitor and question follow
    from the visitor's number and the count of questions so far."""
    answers = Answers()
    ready = asyncio.Barrier(visitors)

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await ready.wait()
            await asyncio.sleep(pause_s * number / visitors)
            for turn in range(rounds):
                asked = question(number + turn * visitors)
                sent_at = time.perf_counter()
                writer.write(_request(asked, headers(number)))
                status, text = await _answer(reader)
                waited_s = time.perf_counter() - sent_at
                answers.waits.append(waited_s)
                if not 200 <= status < 300 and len(answers.failures) < FAILURES_KEPT:
                    answers.failures.append(f"{asked.method} {asked.path}: {status} {text[:200]!r}")
                await asyncio.sleep(max(0.0, pause_s - waited_s))
        finally:
            writer.close()

    await asyncio.gather(*(one(number) for number in range(visitors)))
    return answers


def _request(asked: Question, headers: dict[str, str]) -> bytes:
    lines = [f"{asked.method} {asked.path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if asked.body:
        lines.append("Content-Type: application/json")
    lines.append(f"Content-Length: {len(asked.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + asked.body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return status, b"".join(parts)
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return status, await reader.readexactly(int(length)) if length else b""
