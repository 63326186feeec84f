"""Pretend devices on the wire: they connect over MQTT, hear what they are told, and answer.

Keeps true that a device which loses its connection comes back with all that it remembers, as one would that
keeps its ids in flash memory.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt

from kilowatch.simulator.pretend.device import PretendDevice

RECONNECT_S = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """As whom devices come. user: `<organisation>/<device>`, or the organisation's slug for a gateway."""

    host: str
    port: int
    user: str
    password: str
    client_id: str

    @property
    def organisation(self) -> str:
        """The organisation's slug."""
        return self.user.partition("/")[0]


async def play(
    login: Login, devices: Mapping[str, PretendDevice], ready: asyncio.Event | None = None
) -> None:
    """Lets devices, by id, hear commands over one connection until it is cancelled. ready: set once they
    do."""
    while True:
        try:
            async with aiomqtt.Client(
                login.host,
                login.port,
                username=login.user,
                password=login.password,
                identifier=login.client_id,
            ) as mqtt:
                await subscribe(mqtt, login.organisation, devices)
                if ready is not None:
                    ready.set()
                await answer_all(mqtt, devices)
        except* aiomqtt.MqttError as lost:
            _log.info("pretend devices come again: %s", lost.exceptions[0])
        await asyncio.sleep(RECONNECT_S)


async def subscribe(mqtt: aiomqtt.Client, organisation: str, devices: Mapping[str, PretendDevice]) -> None:
    """Asks for the commands of these devices."""
    topics = [(f"{organisation}/devices/{device}/commands", 1) for device in devices]
    await mqtt.subscribe(topics)


async def answer_all(mqtt: aiomqtt.Client, devices: Mapping[str, PretendDevice]) -> None:
    """Answers whatever comes, until the connection ends."""
    async with asyncio.TaskGroup() as answering:
        async for message in mqtt.messages:
            topic = message.topic.value
            device = devices.get(topic.split("/")[2])
            if device is None or not isinstance(message.payload, bytes):
                continue
            answer = device.hear(message.payload)
            if answer is None:
                continue
            if device.pause_s:
                answering.create_task(_answer_later(mqtt, device.pause_s, f"{topic}/ack", answer))
            else:
                await mqtt.publish(f"{topic}/ack", answer, qos=1)


async def _answer_later(mqtt: aiomqtt.Client, pause_s: float, topic: str, answer: bytes) -> None:
    await asyncio.sleep(pause_s)
    with suppress(aiomqtt.MqttError):
        await mqtt.publish(topic, answer, qos=1)
