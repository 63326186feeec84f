"""Two organisations whose devices log in over MQTT, for tests."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import aiomqtt
import pytest

from kilowatch.accounts.store.device_tokens import make_device_token
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.postgres.engine import Database
from kilowatch.stream.client import Client
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from tests.ingest.conftest import (
    NatsServer,
    Sender,
    logged,
    until,
)

BODY = b'{"metrics":{"power":1}}'


@dataclass(frozen=True)
class House:
    """Two organisations with devices D1 and D2, and the way in."""

    mqtt: NatsServer
    database: Database
    client: Client
    sender: Sender
    other: Sender
    inside: Client

    @property
    def slug(self) -> str:
        return self.sender.organisation.slug

    async def token(self, device: str = "D1", organisation: Organisation | None = None) -> str:
        """A new token, and word of it."""
        of = organisation or self.sender.organisation
        async with self.database.scope(of.id) as connection:
            token, _ = await make_device_token(connection, device)
        await self.tell("devices", of)
        return token

    async def tell(self, kind: str, organisation: Organisation | None = None) -> None:
        """Word that something changed, as routes give it."""
        of = organisation or self.sender.organisation
        await self.client.publish(REGISTRY_SUBJECT, RegistryChange(str(of.id), kind).encode())  # type: ignore[arg-type]

    def connect(self, user: str, password: str, **more: Any) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", self.mqtt.mqtt_port, username=user, password=password, **more)

    async def device(self, device: str = "D1", **more: Any) -> aiomqtt.Client:
        """A device that may log in with a new token."""
        return self.connect(f"{self.slug}/{device}", await self.token(device), **more)

    async def refused(self, user: str, password: str, **more: Any) -> bool:
        try:
            async with self.connect(user, password, **more):
                return False
        except aiomqtt.MqttError:
            return True

    async def in_log(self, count: int) -> set[int]:
        """Waits for so many readings; the devices that they are of."""

        async def there() -> bool:
            return sum(map(len, await logged(self.client))) >= count

        await until(there, f"{count} readings in the log")
        frames = await logged(self.client)
        assert sum(map(len, frames)) == count
        return {int(number) for frame in frames for number in frame.device}


async def cut_off(connection: aiomqtt.Client) -> None:
    """Waits until the server ends a connection; `kw bench logins` tells how long that takes."""
    with contextlib.suppress(aiomqtt.MqttError):
        async with asyncio.timeout(10):
            async for _ in connection.messages:
                pytest.fail("something was heard")


async def stays(connection: aiomqtt.Client, house: House) -> None:
    """Shows that a connection is there, by what it publishes."""
    before = sum(map(len, await logged(house.client)))
    await connection.publish(f"{house.slug}/devices/D1/telemetry", BODY, qos=1)
    await house.in_log(before + 1)
