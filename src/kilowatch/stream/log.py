"""The durable log: one message is one frame, one subject one partition.

Keeps true that a frame whose publishing returned is on disk (the server syncs before it answers), that a
frame leaves the log only when it is acknowledged, and that one reader at a time works on a partition: to
open a partition is to take it from whoever had it, with everything that was not acknowledged.
"""

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg

from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import NO_RESPONDERS, ApiError, Client, Subscription

STREAM = "READINGS"
ACK_WAIT_S = 3600
DUPLICATE_WINDOW_S = 120
FULL_CODES = {10023, 10047, 10077}
"""JetStream's numbers for: insufficient resources, insufficient storage, the stream has no room."""
NOT_FOUND_CODES = {10059, 10014, 10037}
"""JetStream's numbers for: no such stream, no such consumer, no such message."""
ACK = b"+ACK"
GONE = "gone"
TAKEN = "taken"


class LogFull(EngineUnavailable):
    """The log has no room: nothing was accepted. Room comes back as the worker commits."""


class PartitionTaken(Exception):
    """Another reader has opened this partition (or the log was made anew); open it again to go on."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message of the log."""

    data: bytes
    sequence: int
    """Place in the log; grows by one with every message of the stream, over all partitions."""
    deliveries: int
    """How often it was handed out by this opening of the partition, from 1."""
    stored_us: int
    """When the log took it, epoch microseconds."""
    subject: str
    reply: str


@dataclass(frozen=True, slots=True)
class LogState:
    """How full the log is; the inbox of devices is described likewise."""

    messages: int
    bytes: int
    max_bytes: int
    oldest_us: int | None
    """When the oldest waiting message was stored; None when nothing waits."""
    created_us: int = 0
    """When the log was made; a log made anew counts its messages from 1 again."""
    last_sequence: int = 0
    """Sequence of the newest message that was ever stored in it."""

    def lag_s(self, now_us: int) -> float:
        """Age of the oldest message that still waits, in seconds."""
        return 0.0 if self.oldest_us is None else max(0.0, (now_us - self.oldest_us) / 1e6)


def subject_of(partition: int) -> str:
    """The subject that carries a partition."""
    return f"readings.{partition}"


class Log:
    """The stream of frames. `ensure` once after connecting, then publish and open partitions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ensure(self, *, max_bytes: int, replicas: int = 1) -> None:
        """Makes the stream, or brings its size to `max_bytes`."""
        await ensure_stream(
            self._client,
            {
                "name": STREAM,
                "subjects": ["readings.*"],
                "retention": "workqueue",
                "discard": "new",
                "storage": "file",
                "max_bytes": max_bytes,
                "duplicate_window": DUPLICATE_WINDOW_S * 1_000_000_000,
                "num_replicas": replicas,
            },
        )

    async def publish_frame(self, partition: int, frame: bytes, message_id: str | None = None) -> int:
        """Stores a frame; returns its sequence once it is on disk.

        A second frame with the same `message_id` within two minutes is not stored again.

        Raises:
            LogFull: if there is no room; the frame is not stored.
            EngineUnavailable: if the log did not answer; the frame may or may not be stored.
        """
        headers = None if message_id is None else {"Nats-Msg-Id": message_id}
        try:
            answer = await self._client.request_json(subject_of(partition), frame, headers)
        except ApiError as error:
            if error.code in FULL_CODES:
                raise LogFull("the log has no room for more readings") from error
            raise
        return int(answer["seq"])

    async def state(self) -> LogState:
        """How much waits in the log now."""
        return await read_state(self._client, STREAM)

    async def count_settled(self, partition: int, last: int) -> int:
        """How many messages of a partition are in the log up to the sequence `last`: when that is committed,
        they only have not been acknowledged yet."""
        count = 0
        found = await _oldest_sequence(self._client, STREAM, subject_of(partition))
        while 0 < found <= last:
            count += 1
            found = await _oldest_sequence(self._client, STREAM, subject_of(partition), found + 1)
        return count

    async def open_partition(self, partition: int, *, max_unacknowledged: int = 10_000) -> "Partition":
        """Takes the partition: everything in it that is not acknowledged is handed out again, at once.

        A reader that had it before gets `PartitionTaken` from its next fetch.
        """
        return await Partition.open(self._client, STREAM, subject_of(partition), max_unacknowledged)


class Partition:
    """A reader's hold on one subject of a work queue."""

    def __init__(self, client: Client, stream: str, consumer: str, stalled_opens: int) -> None:
        self._client = client
        self._stream = stream
        self._consumer = consumer
        self._inbox = client.new_inbox()
        self._requests = 0
        self._arrived: deque[LogMessage] = deque()
        self._reply = ""
        self._status: str | None = None
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] = _nothing
        self.stalled_opens = stalled_opens
        """How often in a row the partition was opened, this time included, without its oldest message having
        been acknowledged in between: a message that kills its reader shows here."""

    @classmethod
    async def open(cls, client: Client, stream: str, subject: str, max_unacknowledged: int) -> "Partition":
        """See `Log.open_partition`."""
        oldest = await _oldest_sequence(client, stream, subject)
        stalled = 0
        for old in await _consumers(client, stream, subject):
            noted = old["config"].get("metadata") or {}
            if noted.get("kilowatch_oldest") == str(oldest) and oldest:
                stalled = max(stalled, int(noted.get("kilowatch_opens", "0")))
            await _delete_consumer(client, stream, old["name"])
        name = f"{subject.replace('.', '-').replace('*', 'all').replace('>', 'all')}-{secrets.token_hex(4)}"
        await client.request_json(
            f"$JS.API.CONSUMER.CREATE.{stream}.{name}.{subject}",
            {
                "stream_name": stream,
                "action": "create",
                "config": {
                    "name": name,
                    "durable_name": name,
                    "deliver_policy": "all",
                    "ack_policy": "explicit",
                    "ack_wait": ACK_WAIT_S * 1_000_000_000,
                    "max_ack_pending": max_unacknowledged,
                    "max_waiting": 16,
                    "filter_subject": subject,
                    "metadata": {"kilowatch_oldest": str(oldest), "kilowatch_opens": str(stalled + 1)},
                },
            },
        )
        partition = cls(client, stream, name, stalled + 1)
        partition._subscription = await client.subscribe_raw(f"{partition._inbox}.*", partition._on_message)
        partition._forget = client.on_connection(partition._on_connection)
        return partition

    async def fetch(
        self, batch: int, timeout_s: float, max_bytes: int = 64 * 1024 * 1024
    ) -> list[LogMessage]:
        """Up to `batch` messages (and about `max_bytes`), oldest first: what waits, or else the first that
        comes within `timeout_s`. Empty when none came.

        Raises:
            PartitionTaken: if another reader has opened the partition.
            EngineUnavailable: if the log does not answer.
        """
        if not self._arrived:
            await self._pull({"batch": batch, "max_bytes": max_bytes, "no_wait": True}, batch, 5.0)
        if not self._arrived:
            await self._pull({"batch": 1, "expires": int(timeout_s * 1e9)}, 1, timeout_s + 0.25)
        count = min(batch, len(self._arrived))
        return [self._arrived.popleft() for _ in range(count)]

    async def acknowledge(self, messages: Iterable[LogMessage]) -> None:
        """Removes messages from the log; returns once the server has taken the word. It may be lost with the
        server: then the messages come again.

        Raises:
            EngineUnavailable: if the log is away.
        """
        for message in messages:
            await self._client.publish(message.reply, ACK)
        await self._client.flush()

    async def pending(self) -> int:
        """Messages of this partition that are in the log, handed out or not."""
        try:
            info = await self._client.request_json(
                f"$JS.API.CONSUMER.INFO.{self._stream}.{self._consumer}", {}
            )
        except ApiError as error:
            if error.code in NOT_FOUND_CODES:
                raise PartitionTaken(self._consumer) from error
            raise
        return int(info["num_pending"]) + int(info["num_ack_pending"])

    async def close(self) -> None:
        """Lets go of the partition; what was not acknowledged comes again to the next reader. Who closes has
        not died, so `stalled_opens` begins anew (unless the log is away)."""
        if self._subscription is not None:
            self._forget()
            await self._subscription.stop()
            self._subscription = None
            with suppress(EngineUnavailable):
                await _delete_consumer(self._client, self._stream, self._consumer)

    async def _pull(self, wish: dict[str, Any], count: int, timeout_s: float) -> None:
        """Asks for messages and returns when `count` are there, the server says that there are no more, or
        the time is over."""
        self._requests += 1
        self._reply = f"{self._inbox}.{self._requests}"
        self._status = None
        self._wake.clear()
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
            json.dumps(wish).encode(),
            self._reply,
        )
        deadline = time.monotonic() + timeout_s
        while len(self._arrived) < count and not self._ended():
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()

    def _ended(self) -> bool:
        """Whether the server has said that the running request brings no more."""
        if self._status == GONE:
            raise EngineUnavailable("NATS went away")
        if self._status in (NO_RESPONDERS, TAKEN):
            raise PartitionTaken(self._consumer)
        return self._status is not None

    async def _on_message(self, message: Msg) -> None:
        headers = message.headers
        if not headers or "Status" not in headers or message.reply.startswith("$JS.ACK."):
            self._arrived.append(_log_message(message))
        elif "Deleted" in headers.get("Description", ""):
            self._status = TAKEN
        elif message.subject == self._reply:
            self._status = headers["Status"]
        self._wake.set()

    def _on_connection(self, connected: bool) -> None:
        if not connected:
            self._status = GONE
            self._wake.set()


async def ensure_stream(client: Client, config: dict[str, Any]) -> None:
    """Creates the stream, or updates it where it is there with other settings."""
    name = config["name"]
    # Asked first, because the server counts the room of a stream that is there a second time when it is
    # told to create it again.
    try:
        found = (await client.request_json(f"$JS.API.STREAM.INFO.{name}", {}))["config"]
    except ApiError as error:
        if error.code not in NOT_FOUND_CODES:
            raise
        await client.request_json(f"$JS.API.STREAM.CREATE.{name}", config)
        return
    if any(found.get(setting) != value for setting, value in config.items()):
        await client.request_json(f"$JS.API.STREAM.UPDATE.{name}", config)


async def read_state(client: Client, stream: str) -> LogState:
    """How much waits in a stream now."""
    answer = await client.request_json(f"$JS.API.STREAM.INFO.{stream}", {})
    state = answer["state"]
    messages = int(state["messages"])
    return LogState(
        messages,
        int(state["bytes"]),
        int(answer["config"]["max_bytes"]),
        _epoch_us(state["first_ts"]) if messages else None,
        _epoch_us(answer["created"]),
        int(state["last_seq"]),
    )


async def _oldest_sequence(client: Client, stream: str, subject: str, start: int = 1) -> int:
    """Sequence of the oldest message on `subject` from `start` on, 0 when there is none."""
    wish = {"seq": start, "next_by_subj": subject, "no_hdr": True}
    try:
        answer = await client.request_json(f"$JS.API.STREAM.MSG.GET.{stream}", wish)
    except ApiError as error:
        if error.code in NOT_FOUND_CODES:
            return 0
        raise
    return int(answer["message"]["seq"])


async def _consumers(client: Client, stream: str, subject: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = await client.request_json(f"$JS.API.CONSUMER.LIST.{stream}", {"offset": len(found)})
        page = answer.get("consumers") or []
        found.extend(page)
        if not page or len(found) >= int(answer["total"]):
            return [one for one in found if one["config"].get("filter_subject") == subject]


async def _delete_consumer(client: Client, stream: str, name: str) -> None:
    try:
        await client.request_json(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", {})
    except ApiError as error:
        if error.code not in NOT_FOUND_CODES:
            raise


def _log_message(message: Msg) -> LogMessage:
    tokens = message.reply.split(".")
    first = 2 if len(tokens) == 9 else 4  # newer servers put the domain and the account before the stream
    return LogMessage(
        message.data,
        int(tokens[first + 3]),
        int(tokens[first + 2]),
        int(tokens[first + 5]) // 1000,
        message.subject,
        message.reply,
    )


def _epoch_us(text: str) -> int:
    """Epoch microseconds of an RFC 3339 time with nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole + "+00:00")
    return int(moment.timestamp()) * 1_000_000 + int(fraction[:6].ljust(6, "0"))


def _nothing() -> None:
    """Forgets nothing: the partition was never opened."""
