"""The connection to NATS: what stands when a call returns."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest
from nats.aio.transport import TcpTransport

from kilowatch.stream.client import Client
from tests.ingest.conftest import holds
from tests.stream.conftest import Server

ROUNDS = 50
PARCELS = 8
PARCEL_BYTES = 512 << 10
TRIES = 3


async def test_after_a_flush_the_server_knows_of_a_subscription(server: Server, client: Client) -> None:
    """Also when much waits to be sent before it."""
    sender = await Client.connect(server.embedded.url, name="test")
    told: asyncio.Queue[str] = asyncio.Queue()
    parcel = bytes(PARCEL_BYTES)
    try:
        for place in range(ROUNDS):
            for _ in range(PARCELS):
                await client.publish("anywhere", parcel)
            listener = await client.subscribe(f"told.{place}", lambda subject, _: told.put_nowait(subject))
            await client.flush()
            await sender.publish(f"told.{place}", b"")
            await sender.flush()
            assert await asyncio.wait_for(told.get(), 5) == f"told.{place}"
            await listener.stop()
    finally:
        await sender.close()


async def test_tries_that_fail_leave_nothing_open(server: Server) -> None:
    client = await Client.connect(server.embedded.url, name="test")
    server.kill()
    tries: list[asyncio.StreamWriter] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", server.embedded.port):
        await holds(lambda: len(tries) > TRIES, what="tries")
        await client.close()
    # A socket that was forgotten complains when it is thrown away, and that is an error.
    del client
    gc.collect()


async def test_closing_in_the_middle_of_a_try_ends_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.all_tasks()
    client = await Client.connect(server.embedded.url, name="test")
    server.kill()
    connect, is_trying = TcpTransport.connect, asyncio.Event()

    async def connect_and_overhear(*arguments: Any, **named: Any) -> None:
        """As `asyncio.wait_for` of Python 3.11 does it, cancelled when what it waits for has just come."""
        await connect(*arguments, **named)
        is_trying.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    monkeypatch.setattr(TcpTransport, "connect", connect_and_overhear)
    async with await asyncio.start_server(hang_up, "127.0.0.1", server.embedded.port):
        await is_trying.wait()
        await client.close()
        assert not client.connected
    await holds(lambda: asyncio.all_tasks() == before, what="the end of all tasks")
    gc.collect()


async def test_a_connection_that_is_not_waited_for_any_more_is_gone(server: Server) -> None:
    server.kill()
    tries: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def greet_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1048576}\r\n')
        await reader.readuntil(b"PING")
        tries.put_nowait(writer)

    async with await asyncio.start_server(greet_only, "127.0.0.1", server.embedded.port):
        connecting = asyncio.create_task(Client.connect(server.embedded.url, name="test"))
        writer = await tries.get()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        writer.close()
    gc.collect()
