"""The inbox of devices: what they publish over MQTT, until it is in the log.

Keeps true that a QoS 1 message which its device saw acknowledged stays here until it is acknowledged here
too: the MQTT server writes it to its own stream before it answers, and only this room removes from there.
QoS 0 messages are passed on as they come and kept by nobody, as their sender asked.
The choice and its figures: docs/decisions/0004-mqtt-durability.md.
"""

import json
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import Client
from kilowatch.stream.log import LogState, ensure_stream, read_state
from kilowatch.stream.tap import Message, Tap

STREAM = "$MQTT_msgs"
"""The MQTT server's own stream of QoS 1 messages: it answers a device once a message is in it."""
RETAINED = "$MQTT_rmsgs"
"""The MQTT server's own stream of what a device wants retained, for those who subscribe later. Nobody may
subscribe to it, and it would outlive the device."""
RETAINED_NS = 1_000_000_000
SUBJECT = "*.devices.*.telemetry"
CONSUMER = "inbox-"
FETCH_MESSAGES = 4096
"""QoS 1 messages that are asked for at a time."""
ASK_S = 5
REMOVE_EVERY_S = 0.25
FORGOTTEN_AFTER_S = 30
KEPT = b"1"
FLEETING = b"2"
QOS_0 = b"Nmqtt-Pub:0"


class InboxMessage(NamedTuple):
    """One message of a device."""

    organisation: str
    """Slug of the organisation, as in the topic."""
    device: str
    """Id of the device, as in the topic."""
    payload: bytes
    stored_us: int
    """When the MQTT server took it, epoch microseconds; the same each time the message comes again."""
    sequence: int
    """Place in the inbox; 0 for QoS 0."""


@dataclass(slots=True, eq=False)
class InboxBatch:
    """What one fetch brought; acknowledged as a whole."""

    messages: list[InboxMessage] = field(default_factory=list)
    last_sequence: int = 0
    acknowledged: bool = False


class MqttInbox:
    """Readings of devices, oldest first.

    Whoever fetches publishes to the log and only then acknowledges. What was fetched and not acknowledged
    comes again to the next reader, so a reading may come twice and never not at all. One reader works at
    a time; others stand by and take over when it is gone.
    """

    def __init__(self, url: str, name: str, clock: Clock) -> None:
        self._url = url
        self._name = name
        self._clock = clock
        self._client: Client | None = None
        self._tap: Tap | None = None
        self._consumer = ""
        self._inbox = ""
        self._requests = 0
        self._awaited = 0
        self._asked_until = 0.0
        self._open: deque[InboxBatch] = deque()
        self._remove_to = 0
        self._removed_at = 0.0

    @staticmethod
    async def ensure(client: Client, *, max_bytes: int) -> None:
        """Makes the stream, and lets retained messages go at once. Must have happened before the first device
        connects, or else the MQTT server makes one of its own that keeps nothing. When it is full, devices
        get no acknowledgement."""
        await ensure_stream(
            client,
            {
                "name": STREAM,
                "subjects": ["$MQTT.msgs.>"],
                "retention": "limits",
                "storage": "file",
                "discard": "new",
                "max_bytes": max_bytes,
            },
        )
        await ensure_stream(
            client,
            {
                "name": RETAINED,
                "subjects": ["$MQTT.rmsgs.>"],
                "retention": "limits",
                "storage": "file",
                "max_msgs_per_subject": 1,
                "max_age": RETAINED_NS,
                "duplicate_window": RETAINED_NS,
            },
        )

    @staticmethod
    async def pending(client: Client) -> int:
        """QoS 1 messages that are in the inbox, fetched or not."""
        return (await read_state(client, STREAM)).messages

    async def state(self) -> LogState:
        """How much waits in the inbox now.

        Raises:
            EngineUnavailable: if the MQTT server is away, or nobody has fetched here yet.
        """
        if self._client is None:
            raise EngineUnavailable("the inbox is not open")
        return await read_state(self._client, STREAM)

    async def fetch(self, timeout_s: float) -> InboxBatch:
        """What has come since the last fetch; waits up to `timeout_s` for the first message. Empty when
        nothing came, or when another reader is at work.

        Raises:
            EngineUnavailable: if the MQTT server is away; the next fetch connects again.
        """
        if self._tap is None or self._tap.closed:
            await self._connect()
        tap = self._tap
        if tap is None:
            raise EngineUnavailable("the inbox was closed")
        if not self._consumer and not await self._take_over():
            await tap.take(timeout_s)
            return InboxBatch()
        if self._awaited <= 0 or time.monotonic() > self._asked_until:
            self._ask(tap)
        self._remove(tap)
        return self._sorted_out(await tap.take(timeout_s))

    def acknowledge(self, batch: InboxBatch) -> None:
        """Lets the messages of a batch (and of all batches before it that are acknowledged) be removed."""
        batch.acknowledged = True
        while self._open and self._open[0].acknowledged:
            self._remove_to = max(self._remove_to, self._open.popleft().last_sequence)

    async def close(self) -> None:
        """Removes what was acknowledged and ends the connection."""
        if self._tap is not None and not self._tap.closed:
            self._removed_at = 0.0
            self._remove(self._tap)
            self._tap.close()
        if self._client is not None:
            await self._client.close()
        self._tap = self._client = None

    async def _connect(self) -> None:
        """A new connection. What was fetched over the old one and not acknowledged comes again."""
        if self._client is None:
            self._client = await Client.connect(self._url, name=self._name)
        self._tap = await Tap.connect(self._url, name=self._name)
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._consumer = ""
        self._tap.subscribe(f"{self._inbox}.*", KEPT)
        self._tap.subscribe(SUBJECT, FLEETING, queue="inbox")

    async def _take_over(self) -> bool:
        """Becomes the reader, from the oldest message on, unless another one is at work."""
        client = self._client
        if client is None:
            return False
        answer = await client.request_json(f"$JS.API.CONSUMER.LIST.{STREAM}", {})
        readers = [one for one in answer.get("consumers") or [] if one["name"].startswith(CONSUMER)]
        if any(reader["num_waiting"] for reader in readers):
            return False
        for reader in readers:
            await client.request_json(f"$JS.API.CONSUMER.DELETE.{STREAM}.{reader['name']}", {})
        name = CONSUMER + secrets.token_hex(4)
        config: dict[str, Any] = {
            "name": name,
            "deliver_policy": "all",
            "ack_policy": "none",
            "mem_storage": True,
            "inactive_threshold": FORGOTTEN_AFTER_S * 1_000_000_000,
        }
        wish = {"stream_name": STREAM, "action": "create", "config": config}
        await client.request_json(f"$JS.API.CONSUMER.CREATE.{STREAM}.{name}", wish)
        self._consumer = name
        self._awaited = self._remove_to = 0
        self._open.clear()
        return True

    def _ask(self, tap: Tap) -> None:
        """Asks for the next messages, to be sent as they come."""
        self._requests += 1
        self._awaited = FETCH_MESSAGES
        self._asked_until = time.monotonic() + ASK_S + 1
        wish = {"batch": FETCH_MESSAGES, "expires": ASK_S * 1_000_000_000}
        tap.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer}",
            json.dumps(wish).encode(),
            f"{self._inbox}.{self._requests}",
        )

    def _remove(self, tap: Tap) -> None:
        """Removes what is acknowledged, now and then, since one removal of many is cheap."""
        now = time.monotonic()
        if self._remove_to and now - self._removed_at >= REMOVE_EVERY_S:
            tap.publish(f"$JS.API.STREAM.PURGE.{STREAM}", b'{"seq":%d}' % (self._remove_to + 1), self._inbox)
            self._remove_to = 0
            self._removed_at = now

    def _sorted_out(self, taken: list[Message]) -> InboxBatch:
        """The devices' messages among what came, and what the server says of the running request."""
        batch = InboxBatch()
        now_us = self._clock.now_us()
        for subject, sid, reply, headers, data in taken:
            if sid == FLEETING:
                if QOS_0 in headers:
                    organisation, _, device, _ = subject.decode(errors="replace").split(".")
                    batch.messages.append(InboxMessage(organisation, device, data, now_us, 0))
            elif reply:
                self._awaited -= 1
                place = reply.split(b".")
                batch.last_sequence = int(place[-4])
                topic = subject.decode(errors="replace").split(".")
                if len(topic) == 6 and topic[3] == "devices" and topic[5] == "telemetry":
                    message = InboxMessage(
                        topic[2], topic[4], data, int(place[-2]) // 1000, batch.last_sequence
                    )
                    batch.messages.append(message)
            else:
                self._ended(subject, headers)
        if batch.last_sequence:
            self._open.append(batch)
        return batch

    def _ended(self, subject: bytes, headers: bytes) -> None:
        if headers.startswith(b"NATS/1.0 503") or b"Deleted" in headers:
            self._consumer = ""  # another reader took over, or the server forgot us
        elif subject.endswith(b".%d" % self._requests):
            self._awaited = 0
