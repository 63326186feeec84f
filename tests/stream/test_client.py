"""The connection to NATS: what stands when a call returns."""

import asyncio

from kilowatch.stream.client import Client
from tests.stream.conftest import Server

ROUNDS = 50
PARCELS = 8
PARCEL_BYTES = 512 << 10


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
