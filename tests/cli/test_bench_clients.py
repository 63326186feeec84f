"""The bench's clients: what they make of every answer, sent to them by servers that follow a script."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kilowatch.cli.bench.driver import Times
from kilowatch.cli.bench.http_client import Parcel, Sender, request_head
from kilowatch.cli.bench.load import Shape, Singles
from kilowatch.cli.bench.mqtt_client import Publisher, connect_packet, length_bytes
from kilowatch.cli.bench.order import Target
from kilowatch.cli.bench.patient import PatientSender
from kilowatch.cli.bench.tally import Tally, percentiles_ms

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WITHIN_S = 10.0
ACCEPTED = b'{"accepted":2,"rejected":[]}'


class TwoReadings:
    """A source of one body, which remembers what was given back."""

    def __init__(self) -> None:
        self.given_back = 0

    def take(self) -> Parcel:
        return Parcel(bytearray(b"two readings"), 2)

    def give_back(self, parcel: Parcel) -> None:
        self.given_back += parcel.readings


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[int]:
    """A server on loopback that follows the script with each connection; its port."""

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(follow, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def send(bodies: int, *answers: list[bytes]) -> tuple[Tally, TwoReadings, list[bytes]]:
    """Sends so many bodies; each request gets the next answer, in the given pieces."""
    tally, source, requests = Tally(), TwoReadings(), list[bytes]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pieces in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            requests.append(head + await reader.readexactly(len(b"two readings")))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        await reader.read()

    async with serving(script) as port:
        head = request_head("POST /here", "localhost", {"X-Who": "bench"})
        sender = Sender(head, source, tally, Times(bodies))
        await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", port)
        sender.start()
        await asyncio.wait_for(sender.done, WITHIN_S)
    return tally, source, requests


async def test_who_is_patient_counts_errors_by_their_class_and_goes_on() -> None:
    tally, source = Tally(), TwoReadings()
    some = b'{"accepted":1,"rejected":[{"index":0,"code":"too_old","detail":""}]}'
    answers = [
        answer(b"202 Accepted", ACCEPTED), answer(b"503 Service Unavailable"), answer(b"500 Oops"),
        answer(b"422 Unprocessable"), answer(b"202 Accepted", some), b"", answer(b"202 Accepted", ACCEPTED),
    ]  # fmt: skip

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b"two readings"))
            told = answers.pop(0)
            if not told:
                return
            writer.write(told)
            await writer.drain()
        await reader.read()

    async with serving(script) as port:
        target = Target("127.0.0.1", port, port, "/here")
        sender = PatientSender(target, request_head("POST /here", "localhost", {}), source, tally, Times(7))
        await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", port)
        sender.start()
        await asyncio.wait_for(sender.done, WITHIN_S)
    assert (tally.attempted, tally.accepted, tally.failures) == (14, 5, [])
    assert tally.errors == {"503": 2, "5xx": 2, "4xx": 2, "rejected": 1, "network": 2}
    assert source.given_back == 14


def answer(status: bytes, body: bytes = b"", head: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


async def test_accepted_readings_are_counted() -> None:
    tally, source, requests = await send(2, [answer(b"202 Accepted", ACCEPTED)], [answer(b"204 No Content")])
    assert (tally.accepted, tally.answers, tally.failures) == (4, 2, [])
    assert len(tally.waits) == 2
    assert source.given_back == 4
    expected = (
        b"POST /here HTTP/1.1\r\nHost: localhost\r\nX-Who: bench\r\nContent-Length: 12\r\n\r\ntwo readings"
    )
    assert requests == [expected, expected]


async def test_an_answer_may_come_in_pieces() -> None:
    whole, tally = answer(b"202 Accepted", ACCEPTED), Tally()
    sender = Sender(b"", TwoReadings(), tally, Times(2))
    sender.start()
    for place in range(len(whole)):
        assert tally.accepted == 0
        sender.data_received(whole[place : place + 1])
    assert (tally.accepted, tally.failures) == (2, [])


async def test_not_now_is_sent_again() -> None:
    tally, source, requests = await send(
        1, [answer(b"503 Service Unavailable", b"{}")], [answer(b"202 Accepted", ACCEPTED)]
    )
    assert (tally.accepted, tally.answers, tally.refused) == (2, 1, 1)
    assert requests[0] == requests[1]
    assert source.given_back == 2


@pytest.mark.parametrize(
    "bad",
    [
        answer(b"202 Accepted", b'{"accepted":1,"rejected":[]}'),
        answer(b"202 Accepted", b'{"accepted":2,"rejected":[{"index":0}]}'),
        answer(b"422 Unprocessable Entity", b"{}"),
        b"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_any_other_answer_fails_the_run(bad: bytes) -> None:
    tally, _, _ = await send(5, [bad])
    assert tally.accepted == 0
    assert tally.failures
    assert tally.failures[0].startswith("HTTP/1.1 ")


async def test_a_lost_connection_fails_the_run() -> None:
    tally = Tally()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(script) as port:
        sender = Sender(request_head("POST /", "localhost", {}), TwoReadings(), tally, Times(9))
        await asyncio.get_running_loop().create_connection(lambda: sender, "127.0.0.1", port)
        sender.start()
        await asyncio.wait_for(sender.done, WITHIN_S)
    assert "connection lost" in tally.failures[0]


# --- MQTT ------------------------------------------------------------------------------------------------


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, size, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        (byte,) = await reader.readexactly(1)
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(size)


async def publish(messages: int, window: int, script: Script) -> Tally:
    tally = Tally()
    singles = Singles(Shape("mqtt", 3, 2, 1, 1, 0, 1000), 0, with_device=False)
    topics = [b"o/devices/%d/telemetry" % place for place in range(3)]
    login = connect_packet("me", "o/one", "secret")
    publisher = Publisher(login, topics, singles, tally, Times(messages), window)
    async with serving(script) as port:
        await asyncio.get_running_loop().create_connection(lambda: publisher, "127.0.0.1", port)
        await asyncio.wait_for(publisher.ready, WITHIN_S)
        publisher.start()
        await asyncio.wait_for(publisher.done, WITHIN_S)
    return tally


async def test_messages_are_published_in_windows() -> None:
    topics, most = list[bytes](), 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        kind, login = await read_packet(reader)
        assert kind == 0x10
        assert login.endswith(b"\x00\x05o/one\x00\x06secret")
        writer.write(b"\x20\x02\x00")
        await writer.drain()
        writer.write(b"\x00")  # CONNACK in two pieces
        waiting: list[bytes] = []
        while True:
            kind, content = await read_packet(reader)
            if kind == 0xE0:
                return
            size = int.from_bytes(content[:2], "big")
            topics.append(content[2 : 2 + size])
            waiting.append(content[2 + size : 4 + size])
            most = max(most, len(waiting))
            if len(waiting) == 5 or len(topics) == 12:
                writer.write(b"".join(b"\x40\x02" + packet_id for packet_id in waiting))
                waiting.clear()

    tally = await publish(12, 5, script)
    assert (tally.accepted, tally.failures) == (12, [])
    assert topics == [b"o/devices/%d/telemetry" % (place % 3) for place in range(12)]
    assert most == 5


async def test_a_refused_login_fails_the_run() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(b"\x20\x02\x00\x05")
        await reader.read()

    tally = await publish(1, 1, script)
    assert tally.failures == ["the MQTT server refused the login with code 5"]


@pytest.mark.parametrize(
    ("size", "expected"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (16_384, b"\x80\x80\1")]
)
def test_lengths_are_written_seven_bits_a_byte(size: int, expected: bytes) -> None:
    assert length_bytes(size) == expected


def test_percentiles_are_milliseconds() -> None:
    figures: dict[str, Any] = percentiles_ms([0.001 * wait for wait in range(1, 101)])
    assert figures == {"p50": 50.5, "p95": 95.05, "p99": 99.01, "most": 100.0}
    assert percentiles_ms([]) == {}
