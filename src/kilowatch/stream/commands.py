"""Commands on their way to devices, and what devices answer, until it is taken.

Keeps true that an answer which the MQTT server has passed on waits here until whoever took it has
acknowledged it, so that the death of a taker loses none. An answer can be lost with the MQTT server itself,
in the moment before it is written; the command is then sent again, and the device answers again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from kilowatch.stream.client import Client
from kilowatch.stream.log import LogMessage, Partition, ensure_stream

STREAM = "COMMAND_ANSWERS"
SUBJECT = "*.devices.*.commands.ack"
KEPT_S = 7 * 86_400
MAX_BYTES = 256 * 1024 * 1024
MOST_OF_A_DEVICE = 64
"""Answers of one device that are kept; it has one command at a time, so more are noise."""
FETCH = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """One message on a device's topic of answers; organisation: slug."""

    organisation: str
    device: str
    payload: bytes
    message: LogMessage


class CommandWire:
    """A connection to the MQTT server by which one process sends commands and hears answers. Who opens one
    takes the answers over from whoever had them, with those that were not acknowledged."""

    def __init__(self, client: Client, answers: Partition) -> None:
        self._client = client
        self._answers = answers

    @staticmethod
    async def ensure(client: Client) -> None:
        """Makes the stream of answers. It acknowledges nothing by itself (`no_ack`): the MQTT server answers
        devices, and its API refuses any other stream over the first part of a topic."""
        await ensure_stream(
            client,
            {
                "name": STREAM,
                "subjects": [SUBJECT],
                "retention": "workqueue",
                "storage": "file",
                "discard": "old",
                "no_ack": True,
                "max_bytes": MAX_BYTES,
                "max_msgs_per_subject": MOST_OF_A_DEVICE,
                "max_age": KEPT_S * 1_000_000_000,
            },
        )

    @classmethod
    async def open(cls, url: str, name: str) -> Self:
        """A wire to the MQTT server at `url`.

        Raises:
            EngineUnavailable: if it is away.
        """
        client = await Client.connect(url, name=name)
        try:
            return cls(client, await Partition.open(client, STREAM, SUBJECT, 10 * FETCH))
        except BaseException:
            await client.close()
            raise

    async def send(self, organisation: str, device: str, message: bytes) -> None:
        """Sends a command to a device, if it is there.

        Raises:
            EngineUnavailable: if the MQTT server is away.
        """
        await self._client.publish(f"{organisation}.devices.{device}.commands", message)

    async def hear(self, timeout_s: float) -> list[Heard]:
        """Answers that wait, oldest first; or the first that comes within this time.

        Raises:
            EngineUnavailable: if the MQTT server is away.
            PartitionTaken: if another process hears them now.
        """
        return [_heard(message) for message in await self._answers.fetch(FETCH, timeout_s)]

    async def acknowledge(self, heard: Iterable[Heard]) -> None:
        """Lets answers be forgotten.

        Raises:
            EngineUnavailable: if the MQTT server is away; they come again then.
        """
        messages: Sequence[LogMessage] = [one.message for one in heard]
        if messages:
            await self._answers.acknowledge(messages)

    async def close(self) -> None:
        """Ends the connection; answers that were not acknowledged stay."""
        await self._answers.close()
        await self._client.close()


def _heard(message: LogMessage) -> Heard:
    organisation, _, device, _, _ = message.subject.split(".")
    return Heard(organisation, device, message.data, message)
