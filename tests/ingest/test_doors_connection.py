"""The short way of single readings: on the wire it cannot be told from the long one."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httptools
import msgspec
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.accounts.store.api_keys import list_api_keys, revoke_api_key
from kilowatch.ingest.connection import HEAD_BYTES, connection_class
from kilowatch.ingest.doors import Doors
from kilowatch.stream.client import Client
from kilowatch.wire.headers import NO_STORE, SECURITY_HEADERS
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from tests.ingest.conftest import NatsServer, Sender, holds, logged, until
from tests.ingest.test_doors import reading


class Served(uvicorn.Server):
    """A server inside the test's own loop: it leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Heard:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        document: dict[str, object] = msgspec.json.decode(self.body)
        return document


class _Listener:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.heard.append(Heard(self.parser.get_status_code(), self._headers, self._body))


@pytest.fixture
async def port(doors: Doors) -> AsyncIterator[int]:
    """The port of a real server in front of the doors."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(doors, http=connection_class(doors), lifespan="off", log_config=None)
        server = Served(config)
        serving = asyncio.create_task(server.serve([listening]))
        await holds(lambda: server.started, "a started server")
        yield int(listening.getsockname()[1])
        server.should_exit = True
        await serving


def request(
    sender: Sender, body: bytes, *headers: str, path: str = "/api/v1/readings", version: str = "1.1"
) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Authorization: Bearer {sender.secret}", *headers]
    if not any(header.lower().startswith("transfer-encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def talk(port: int, *parts: bytes, answers: int = 1) -> list[Heard]:
    """Writes the parts one after another and reads so many answers, or until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    listener = _Listener()
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(20):
        while len(listener.heard) < answers and (data := await reader.read(65_536)):
            listener.parser.feed_data(data)
    writer.close()
    await writer.wait_closed()
    return listener.heard


def one(seconds: float = 0, **metrics: object) -> bytes:
    return msgspec.json.encode(reading("D1", seconds, **metrics))


async def test_one_connection_carries_many_readings(sender: Sender, client: Client, port: int) -> None:
    sends = [request(sender, one(place)) for place in range(20)]
    heard = await talk(port, *sends, answers=20)
    assert [answer.status for answer in heard] == [202] * 20
    assert {answer.body for answer in heard} == {b'{"accepted":1,"rejected":[]}'}
    assert len({answer.headers["x-request-id"] for answer in heard}) == 20
    assert sum(map(len, await logged(client))) == 20


async def test_pipelined_requests_are_answered_in_their_order(
    sender: Sender, client: Client, port: int
) -> None:
    kinds = [
        request(sender, one(1), "X-Request-Id: a"),
        request(sender, b"{broken", "X-Request-Id: b"),
        request(sender, one(2), "X-Request-Id: c"),
        b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: d\r\n\r\n",
        request(sender, one(3), "X-Request-Id: e", "Idempotency-Key: e"),
        request(sender, one(4), "X-Request-Id: f"),
    ]
    heard = await talk(port, b"".join(kinds), answers=6)
    assert [answer.headers["x-request-id"] for answer in heard] == list("abcdef")
    assert [answer.status for answer in heard] == [202, 400, 202, 204, 202, 202]
    assert sum(map(len, await logged(client))) == 4


async def test_a_request_may_come_in_pieces(sender: Sender, port: int) -> None:
    whole = request(sender, one())
    pieces = [whole[place : place + 7] for place in range(0, len(whole), 7)]
    assert [answer.status for answer in await talk(port, *pieces)] == [202]


async def converse(port: int, *requests: bytes) -> list[Heard]:
    """Sends each request once the one before it is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    listener = _Listener()
    async with asyncio.timeout(20):
        for place, data in enumerate(requests):
            writer.write(data)
            while len(listener.heard) <= place:
                answer = await reader.read(65_536)
                assert answer, "the server closed the connection"
                listener.parser.feed_data(answer)
    writer.close()
    await writer.wait_closed()
    return listener.heard


async def test_a_head_that_is_known_again_changes_nothing(sender: Sender, client: Client, port: int) -> None:
    stranger = Sender(
        sender.http, sender.organisation, sender.database, "kw_" + "x" * (len(sender.secret) - 3)
    )
    requests = [
        (202, request(sender, one(1))),
        (202, request(sender, one(2))),
        (400, request(sender, b"{broken")),
        (202, request(sender, one(3))),
        (422, request(sender, msgspec.json.encode(reading("D9", 4)))),
        (401, request(stranger, one(4))),
        (202, request(sender, one(4), "Idempotency-Key: k")),
        (202, request(sender, one(4), "Idempotency-Key: k")),
        (202, request(sender, one(5))),
        (202, request(sender, one(6), "X-Request-Id: mine")),
        (202, request(sender, one(7), "X-Request-Id: mine")),
        (202, request(sender, one(8)) + b"\r\n"),
        (202, request(sender, one(9))),
    ]
    heard = await converse(port, *(data for _, data in requests))
    assert [answer.status for answer in heard] == [status for status, _ in requests]
    assert [answer.headers["x-request-id"] for answer in heard[9:11]] == ["mine", "mine"]
    assert len({answer.headers["x-request-id"] for answer in heard}) == len(requests) - 1
    assert sum(map(len, await logged(client))) == 9


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cuts=st.lists(st.integers(1, 2000), max_size=12), count=st.integers(2, 6))
async def test_requests_may_be_cut_anywhere(sender: Sender, port: int, cuts: list[int], count: int) -> None:
    """However the bytes of equal requests are cut into packets, each gets its own answer."""
    requests = [request(sender, one(place, power=float(place))) for place in range(count)]
    (first,) = await converse(port, requests[0])
    assert first.status == 202
    whole = b"".join(requests)
    places = sorted({0, *(cut % len(whole) for cut in cuts), len(whole)})
    parts = [whole[begin:end] for begin, end in itertools.pairwise(places)]
    heard = await talk(port, *parts, answers=count)
    assert [answer.status for answer in heard] == [202] * count


@pytest.mark.parametrize("headers", [("Transfer-Encoding: chunked",), ("Expect: 100-continue",)])
async def test_unusual_requests_go_the_long_way(sender: Sender, port: int, headers: tuple[str, ...]) -> None:
    body = one()
    if "chunked" in headers[0]:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    heard = await talk(port, request(sender, body, *headers), answers=2 if "Expect" in headers[0] else 1)
    assert heard[-1].status == 202


OF_ONE_REQUEST = ("x-request-id", "date")


async def test_both_ways_answer_with_the_same_headers(sender: Sender, port: int) -> None:
    """The second request of each pair goes the long way."""
    body = one()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    unknown = msgspec.json.encode(reading("D9"))
    pairs = [
        (request(sender, body), request(sender, chunked, "Transfer-Encoding: chunked")),
        (request(sender, unknown), request(sender, unknown, "Idempotency-Key: pair")),
    ]
    for quick, long in pairs:
        answers = await converse(port, quick, quick, long)
        shapes = [
            (
                answer.status,
                [pair for pair in answer.headers.items() if pair[0] not in OF_ONE_REQUEST],
            )
            for answer in answers
        ]
        assert shapes[0] == shapes[1] == shapes[2]
        assert all(list(answer.headers)[-1] == "x-request-id" for answer in answers)


async def test_every_answer_carries_the_security_headers(sender: Sender, port: int) -> None:
    stranger = Sender(sender.http, sender.organisation, sender.database, "kw_wrong")
    asked = {
        202: request(sender, one()),
        204: b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n",
        200: b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        400: request(sender, b"{broken"),
        401: request(stranger, b"m,device=D1 power=1", path="/write"),
        404: b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        422: request(sender, msgspec.json.encode(reading("D9"))),
    }
    wanted = {name.decode(): value.decode() for name, value in (*SECURITY_HEADERS, NO_STORE)}
    for status, data in asked.items():
        (answer,) = await talk(port, data)
        assert answer.status == status
        assert wanted.items() <= answer.headers.items()


async def test_what_is_no_http_is_refused_as_everything_is(port: int) -> None:
    (answer,) = await talk(port, b"HELO there\r\n\r\n", answers=2)
    assert (answer.status, answer.document["code"]) == (400, "malformed")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_client_that_closes_after_one_is_answered(sender: Sender, port: int) -> None:
    for version, headers in (("1.0", ()), ("1.1", ("Connection: close",))):
        (heard,) = await talk(port, request(sender, one(), *headers, version=version), answers=9)
        assert heard.status == 202


async def test_bad_readings_and_bad_keys_say_the_same_as_ever(sender: Sender, port: int) -> None:
    await talk(port, request(sender, one()))
    (bad,) = await talk(port, request(sender, msgspec.json.encode(reading("D9"))))
    assert (bad.status, bad.document["code"]) == (422, "unknown_device")
    assert bad.headers["content-type"] == "application/problem+json"
    (mixed,) = await talk(port, request(sender, msgspec.json.encode([reading(), reading("D9")])))
    assert (mixed.status, mixed.document["accepted"]) == (202, 1)
    stranger = Sender(sender.http, sender.organisation, sender.database, "kw_wrong")
    (refused,) = await talk(port, request(stranger, one()))
    assert (refused.status, refused.document["code"]) == (401, "bad_credentials")
    (large,) = await talk(port, request(sender, b" " * (33 << 20)))
    assert large.status == 413


async def test_without_the_log_the_answer_is_503(
    nats_server: NatsServer, sender: Sender, port: int, client: Client
) -> None:
    await talk(port, request(sender, one()))
    nats_server.kill()
    try:
        heard = await talk(port, *(request(sender, one(place)) for place in range(5)), answers=5)
        assert [answer.status for answer in heard] == [503] * 5
        assert all(int(answer.headers["retry-after"]) > 0 for answer in heard)
    finally:
        nats_server.start()


async def test_a_client_that_leaves_early_harms_nobody(sender: Sender, client: Client, port: int) -> None:
    await talk(port, request(sender, one()))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(sender, one(1)))
    await writer.drain()
    writer.transport.abort()
    assert [answer.status for answer in await talk(port, request(sender, one(2)))] == [202]


async def test_a_revoked_key_ends(sender: Sender, client: Client, port: int) -> None:
    await talk(port, request(sender, one()))
    async with sender.database.scope(sender.organisation.id) as connection:
        for key in (await list_api_keys(connection)).items:
            await revoke_api_key(connection, key.id)
    word = RegistryChange(str(sender.organisation.id), "keys").encode()
    await client.publish(REGISTRY_SUBJECT, word)

    async def refused() -> bool:
        return (await talk(port, request(sender, one(1))))[0].status == 401

    await until(refused, "a refused key")


@pytest.mark.parametrize(
    "headers",
    [("Content-Length: 3",), ("Transfer-Encoding: chunked", "Content-Length: 5"), ("X-A : space",)],
    ids=["two lengths", "length and chunks", "space before the colon"],
)
async def test_what_is_no_http_is_refused_like_everything_else(
    sender: Sender, client: Client, port: int, headers: tuple[str, ...]
) -> None:
    good, bad = await converse(port, request(sender, one()), request(sender, one(1), *headers))
    assert (good.status, bad.status) == (202, 400)
    assert bad.headers["content-type"] == "application/problem+json"
    assert bad.headers["connection"] == "close"
    assert bad.document["code"] == "malformed"
    assert bad.headers["x-request-id"] in str(bad.document["instance"])
    assert sum(map(len, await logged(client))) == 1


async def test_a_refusal_is_not_taken_for_the_answer_to_an_earlier_request(sender: Sender, port: int) -> None:
    nonsense = request(sender, one(2), "Content-Length: 3")
    heard = await talk(port, request(sender, one()) + request(sender, one(1)) + nonsense, answers=4)
    assert [answer.status for answer in heard] == [202, 202]


HEADS = [b"GET /%b", b"GET / HTTP/1.1\r\nX-Long: %b", b"POST /api/v1/readings?%b"]


@pytest.mark.parametrize("line", HEADS)
async def test_a_head_without_end_is_refused(port: int, line: bytes) -> None:
    head = line % (b"a" * HEAD_BYTES)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    listener = _Listener()
    async with asyncio.timeout(20):
        writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + head[:1])
        while not listener.heard:
            listener.parser.feed_data(await reader.read(65_536))
        writer.write(head[1:])
        while data := await reader.read(65_536):
            listener.parser.feed_data(data)
    writer.close()
    _, refused = listener.heard
    assert (refused.status, refused.document["code"]) == (431, "head_too_large")
    assert refused.headers["connection"] == "close"


async def test_large_bodies_one_after_another_are_no_long_heads(sender: Sender, port: int) -> None:
    bodies = [
        msgspec.json.encode([reading("D1", place * 3000 + row) for row in range(3000)]) for place in range(3)
    ]
    assert len(bodies[0]) > 2 * HEAD_BYTES
    heard = await talk(port, b"".join(request(sender, body) for body in bodies), answers=3)
    assert [answer.status for answer in heard] == [202] * 3
