"""The inbox of devices: an acknowledged QoS 1 message outlives the MQTT server; QoS 0 passes by."""

import asyncio
import struct
from collections.abc import AsyncIterator
from functools import partial

import pytest

from kilowatch.clock import SystemClock
from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import Client
from kilowatch.stream.logins import Logins
from kilowatch.stream.mqtt import InboxMessage, MqttInbox
from tests.conftest import wait_until
from tests.stream.conftest import MQTT_PASSWORD, Server

CONNACK, PUBACK = 2, 4
WINDOW = 100


def text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()


def packet(first: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, part = divmod(size, 128)
        length += bytes([part | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


class Device:
    """A device that speaks bare MQTT 3.1.1 and keeps many messages on their way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        self._reader = reader
        self._writer = writer
        self._topic = f"demo/devices/{name}/telemetry"
        self.acknowledged: list[int] = []

    @classmethod
    async def connect(cls, port: int, name: str, password: str = MQTT_PASSWORD) -> "Device":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = text("MQTT") + bytes([4, 0b1100_0010]) + struct.pack(">H", 60)
        writer.write(packet(0x10, head + text(name) + text(f"demo/{name}") + text(password)))
        answer = await reader.read(4)
        if len(answer) < 4 or answer[0] >> 4 != CONNACK or answer[3]:
            writer.close()
            await writer.wait_closed()
            raise PermissionError(answer)
        return cls(reader, writer, name)

    async def publish(self, first: int, count: int) -> None:
        """Publishes numbered messages with QoS 1, and notes which of them are acknowledged; until the
        connection breaks."""
        waiting: dict[int, int] = {}
        number, last = first, first + count
        try:
            while number < last or waiting:
                while number < last and len(waiting) < WINDOW:
                    mark = number % 60_000 + 1
                    waiting[mark] = number
                    body = text(self._topic) + struct.pack(">H", mark) + b"%d" % number
                    self._writer.write(packet(0x32, body))
                    number += 1
                answer = await self._reader.readexactly(4)
                if answer[0] >> 4 == PUBACK:
                    self.acknowledged.append(waiting.pop(answer[2] << 8 | answer[3]))
        except (OSError, asyncio.IncompleteReadError):
            return

    def publish_fleeting(self, payload: bytes) -> None:
        """Publishes with QoS 0."""
        self._writer.write(packet(0x30, text(self._topic) + payload))

    def close(self) -> None:
        self._writer.transport.abort()


@pytest.fixture
async def inbox(mqtt_server: Server, logins: Logins) -> AsyncIterator[MqttInbox]:
    client = await Client.connect(mqtt_server.embedded.url, name="test")
    await MqttInbox.ensure(client, max_bytes=64 * 1024 * 1024)
    await client.close()
    inbox = MqttInbox(mqtt_server.embedded.url, "test", SystemClock())
    yield inbox
    await inbox.close()


async def reachable(logins: Logins) -> None:
    """Waits until the login service has found its server again."""
    async with asyncio.timeout(30):
        while True:
            try:
                await logins.list_live()
                return
            except EngineUnavailable:
                await asyncio.sleep(0.01)


def port_of(server: Server) -> int:
    assert server.embedded.mqtt is not None
    return server.embedded.mqtt.port


def have_sent(devices: list[Device], count: int) -> bool:
    return all(len(device.acknowledged) > count for device in devices)


async def take(inbox: MqttInbox, count: int) -> list[InboxMessage]:
    """Fetches and acknowledges until so many have come."""
    found: list[InboxMessage] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            batch = await inbox.fetch(0.2)
            found += batch.messages
            inbox.acknowledge(batch)
    return found


async def test_a_wrong_password_is_refused(mqtt_server: Server, inbox: MqttInbox) -> None:
    with pytest.raises(PermissionError):
        await Device.connect(port_of(mqtt_server), "D1", "wrong")
    (await Device.connect(port_of(mqtt_server), "D1")).close()


async def test_nobody_is_let_in_while_no_service_decides(
    mqtt_server: Server, inbox: MqttInbox, logins: Logins
) -> None:
    await logins.stop()
    with pytest.raises(PermissionError):
        await Device.connect(port_of(mqtt_server), "D1")


async def test_live_logins_are_listed_found_and_ended(
    mqtt_server: Server, inbox: MqttInbox, logins: Logins
) -> None:
    devices = [await Device.connect(port_of(mqtt_server), name) for name in ("D1", "D2", "D3")]
    live = await logins.list_live()
    assert sorted((one.name, one.client_id) for one in live) == [
        (f"demo/{name} granted", name) for name in ("D1", "D2", "D3")
    ]
    (second,) = await logins.find_clients("D2")
    assert [second] == await logins.list_live("demo/D2 granted")
    await logins.end(second)
    await asyncio.wait_for(devices[1].publish(0, 10**6), 5)  # ends with the connection
    await logins.end(second)
    assert sorted(one.client_id for one in await logins.list_live()) == ["D1", "D3"]
    for device in devices:
        device.close()


async def test_messages_come_once_with_their_device_and_leave(mqtt_server: Server, inbox: MqttInbox) -> None:
    await inbox.fetch(0.01)
    device = await Device.connect(port_of(mqtt_server), "D1")
    await device.publish(0, 5000)
    messages = await take(inbox, 5000)
    assert [int(message.payload) for message in messages] == list(range(5000))
    assert {(message.organisation, message.device) for message in messages} == {("demo", "D1")}
    assert all(message.stored_us > 0 for message in messages)
    client = await Client.connect(mqtt_server.embedded.url, name="test")
    async with asyncio.timeout(10):
        while await MqttInbox.pending(client):
            await inbox.fetch(0.05)
    await client.close()
    device.close()


async def test_qos_0_passes_through(mqtt_server: Server, inbox: MqttInbox) -> None:
    await inbox.fetch(0.01)
    device = await Device.connect(port_of(mqtt_server), "D2")
    device.publish_fleeting(b"{}")
    (message,) = await take(inbox, 1)
    assert (message.device, message.payload, message.sequence) == ("D2", b"{}", 0)
    device.close()


async def test_what_is_not_acknowledged_comes_again_to_the_next_reader(
    mqtt_server: Server, inbox: MqttInbox
) -> None:
    device = await Device.connect(port_of(mqtt_server), "D1")
    await device.publish(0, 10)
    first: list[InboxMessage] = []
    async with asyncio.timeout(30):
        while len(first) < 10:
            first += (await inbox.fetch(0.2)).messages
    second = MqttInbox(mqtt_server.embedded.url, "second", SystemClock())
    assert (await second.fetch(0.05)).messages == []  # the first one is at work
    await inbox.close()
    again = await take(second, 10)
    assert [message.stored_us for message in again] == [message.stored_us for message in first]
    await second.close()
    device.close()


async def test_a_full_inbox_acknowledges_nothing(mqtt_server: Server, logins: Logins) -> None:
    client = await Client.connect(mqtt_server.embedded.url, name="test")
    await MqttInbox.ensure(client, max_bytes=100_000)
    device = await Device.connect(port_of(mqtt_server), "D1")
    await device.publish(0, 5000)
    assert len(device.acknowledged) < 5000
    assert await MqttInbox.pending(client) >= len(device.acknowledged)
    await client.close()
    device.close()


async def test_no_acknowledged_message_is_lost_when_the_server_is_killed(
    mqtt_server: Server, inbox: MqttInbox, logins: Logins
) -> None:
    acknowledged: set[int] = set()
    found: set[int] = set()

    async def empty() -> None:
        while True:
            try:
                batch = await inbox.fetch(0.1)
            except EngineUnavailable:
                await asyncio.sleep(0.01)
                continue
            found.update(int(message.payload) for message in batch.messages)
            inbox.acknowledge(batch)

    emptying = asyncio.create_task(empty())
    for round_number in range(5):
        devices = [await Device.connect(port_of(mqtt_server), f"D{number}") for number in range(4)]
        sending = [
            asyncio.create_task(device.publish(round_number * 10**7 + place * 10**6, 10**6))
            for place, device in enumerate(devices)
        ]
        await asyncio.to_thread(wait_until, partial(have_sent, devices, 300))
        mqtt_server.kill()
        await asyncio.gather(*sending)
        for device in devices:
            acknowledged.update(device.acknowledged)
            device.close()
        await asyncio.to_thread(mqtt_server.start)
        await reachable(logins)
    await asyncio.to_thread(wait_until, lambda: acknowledged <= found, 30.0, "every message")
    emptying.cancel()
    assert len(acknowledged) > 5 * 4 * 300
