"""One connection to NATS that comes back by itself.

Owns connecting, reconnecting for ever, requests with an answer, and fan-out. Keeps true that the rest of
the house sees one error, `EngineUnavailable`, within moments of the server's loss: whoever waits for an
answer when the connection breaks is told at once, not after a time-out.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import Callable
from typing import Any, Self

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from kilowatch.errors import EngineUnavailable
from kilowatch.stream.connection import Connection

NO_RESPONDERS = "503"
RECONNECT_WAIT_S = 0.2
PENDING_BYTES = 64 * 1024 * 1024


class ApiError(EngineUnavailable):
    """JetStream answered with an error; `code` is its own number for it, `status` the HTTP-like one."""

    def __init__(self, status: int, code: int, description: str) -> None:
        super().__init__(f"NATS answers {status} ({code}): {description}")
        self.status = status
        self.code = code


class NobodyAnswers(EngineUnavailable):
    """The server is there, but nobody who takes this question: JetStream is off, or who answers is away."""


class Subscription:
    """A running subscription; `stop` ends it."""

    def __init__(self, inner: NatsSubscription) -> None:
        self._inner = inner

    async def stop(self) -> None:
        """Ends the subscription; messages that wait for the handler are dropped."""
        try:
            await self._inner.unsubscribe()
        except (nats.errors.Error, OSError):
            return  # the connection is gone, and the subscription with it


class Client:
    """A connection to NATS. Made by `Client.connect`; safe for any number of tasks of one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._tokens = itertools.count()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._on_connection: list[Callable[[bool], None]] = []
        self._last_error: Exception | None = None

    @classmethod
    async def connect(cls, url: str, *, name: str, timeout_s: float = 10.0) -> Self:
        """A connection to the server at `url` (`nats://user:password@host:port`, several joined by commas).

        Raises:
            EngineUnavailable: if no server answers within `timeout_s`.
        """
        connection = Connection()
        client = cls(connection)
        try:
            async with asyncio.timeout(timeout_s):
                await connection.connect(
                    url.split(","),
                    name=name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
                    connect_timeout=2,
                    ping_interval=20,
                    pending_size=PENDING_BYTES,
                    error_cb=client._on_error,
                    disconnected_cb=client._on_disconnected,
                    reconnected_cb=client._on_reconnected,
                )
                await connection.subscribe(f"{client._inbox}.*", cb=client._on_answer)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            await connection.end()
            reason = client._last_error or error
            raise EngineUnavailable(f"NATS does not answer: {reason}") from error
        except asyncio.CancelledError:
            await connection.end()
            raise
        return client

    @property
    def connected(self) -> bool:
        """Whether the server is there just now."""
        return self._connection.is_connected

    def on_connection(self, told: Callable[[bool], None]) -> Callable[[], None]:
        """Calls `told(False)` whenever the server is lost and `told(True)` whenever it is back, until the
        function that this returns is called."""
        self._on_connection.append(told)
        return lambda: self._on_connection.remove(told)

    async def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Sends `data` to whoever listens now; nobody answers.

        Raises:
            EngineUnavailable: if the server is away.
        """
        self._require_connected()
        try:
            await self._connection.publish(subject, data, reply=reply)
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from error

    async def subscribe(self, subject: str, handler: Callable[[str, bytes], None]) -> Subscription:
        """Calls `handler(subject, data)` for every message on `subject` from now on.

        The handler must not block. A subscription outlives a loss of the server; messages of the time
        between are not repeated.
        """

        async def deliver(message: Msg) -> None:
            handler(message.subject, message.data)

        return await self.subscribe_raw(subject, deliver)

    async def subscribe_raw(
        self, subject: str, deliver: Callable[[Msg], Any], queue: str = ""
    ) -> Subscription:
        """Like `subscribe`, for this room: the coroutine function `deliver` takes the whole message. Of all
        subscribers with the same `queue` one gets each message."""
        self._require_connected()
        try:
            inner = await self._connection.subscribe(subject, queue=queue, cb=deliver)
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from error
        return Subscription(inner)

    async def request(
        self, subject: str, data: bytes, *, timeout_s: float = 10.0, headers: dict[str, str] | None = None
    ) -> Msg:
        """The one answer to `data` on `subject`.

        Raises:
            NobodyAnswers: if nobody listens to the subject.
            EngineUnavailable: if the server is away, goes away meanwhile, or nobody answers in time.
        """
        reply = f"{self._inbox}.{next(self._tokens)}"
        message = await self._exchange(subject, data, reply, reply, timeout_s, headers)
        if message.headers and message.headers.get("Status") == NO_RESPONDERS:
            raise NobodyAnswers("nobody listens there (no responders)")
        return message

    async def request_json(
        self, subject: str, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A request to JetStream and its answer.

        Raises:
            ApiError: if the answer is an error.
            EngineUnavailable: if there is no answer.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: dict[str, Any] = json.loads((await self.request(subject, data, headers=headers)).data)
        if "error" in answer:
            error = answer["error"]
            raise ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))
        return answer

    async def gather(self, subject: str, data: bytes, *, within_s: float) -> list[bytes]:
        """All answers that come within this time.

        Raises:
            EngineUnavailable: if the server is away.
        """
        answers: list[bytes] = []
        reply = self.new_inbox()
        subscription = await self.subscribe(reply, lambda _, answer: answers.append(answer))
        try:
            await self.publish(subject, data, reply)
            await asyncio.sleep(within_s)
        finally:
            await subscription.stop()
        return answers

    @property
    def payload_max_bytes(self) -> int:
        """The longest message that the server takes."""
        return self._connection.max_payload

    def new_inbox(self) -> str:
        """A subject of our own that nobody else knows."""
        return f"_INBOX.{secrets.token_hex(11)}"

    async def flush(self, timeout_s: float = 5.0) -> None:
        """Returns once the server has taken everything sent so far.

        A message to ourselves goes behind the rest; the ping of the library's own flush goes ahead of it.

        Raises:
            EngineUnavailable: if it does not within `timeout_s`.
        """
        mark = f"{self._inbox}.{next(self._tokens)}"
        await self._exchange(mark, b"", mark, "", timeout_s)

    async def close(self) -> None:
        """Sends what is still buffered and closes the connection for good."""
        if self._connection.is_connected:
            try:
                await self.flush(2.0)
            except EngineUnavailable as error:
                self._last_error = error
        await self._connection.end()
        self._fail_waiting("the connection to NATS was closed")

    async def _exchange(
        self,
        subject: str,
        data: bytes,
        answer_subject: str,
        reply: str,
        timeout_s: float,
        headers: dict[str, str] | None = None,
    ) -> Msg:
        """Sends `data` and waits for the first message on `answer_subject`, one of our own."""
        self._require_connected()
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[answer_subject] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._connection.publish(subject, data, reply=reply, headers=headers)
                return await answer
        except TimeoutError as error:
            raise EngineUnavailable(f"NATS did not answer within {timeout_s:g} s") from error
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from error
        finally:
            self._waiting.pop(answer_subject, None)

    def _require_connected(self) -> None:
        if not self._connection.is_connected:
            raise EngineUnavailable("NATS is away; the connection is being made again")

    def _fail_waiting(self, reason: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(EngineUnavailable(reason))

    async def _on_answer(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = error

    async def _on_disconnected(self) -> None:
        self._fail_waiting("NATS went away before it answered")
        for told in list(self._on_connection):
            told(False)

    async def _on_reconnected(self) -> None:
        for told in list(self._on_connection):
            told(True)


def _unavailable(error: BaseException) -> EngineUnavailable:
    return EngineUnavailable(f"NATS does not take this now: {error or type(error).__name__}")
