"""The way to the simulator that plays worlds: whoever asks at any server reaches it, wherever it is.

Keeps true that only who shows the secret that server and simulator share is listened to, that what streams
say is told in the organisation that it is said for, and that an answer that does not come is a clear error.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
import zstandard
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from kilowatch.errors import EngineUnavailable, Fault, Problem
from kilowatch.server.live.streams import STREAM
from kilowatch.server.simulation import is_simulator
from kilowatch.stream.asking import Answering
from kilowatch.stream.client import Client, NobodyAnswers
from kilowatch.wire.address import API
from kilowatch.wire.live import LiveEvent
from kilowatch.wire.stage import (
    ANYBODY,
    LATEST,
    STAGE_PATH,
    Answer,
    Ask,
    FromSimulator,
    Heard,
    Hello,
    Part,
    StreamTold,
    Tell,
    ask_subject,
    decode_ask,
    decode_from_simulator,
)

log = structlog.get_logger()

ANSWERED_WITHIN_S = 10.0
HELLO_WITHIN_S = 10.0
LATEST_WITHIN_S = 2.0
QUEUE = "stage"
MOST_PIECES = 2000
NOT_THE_SIMULATOR = 4403
BAD_MESSAGE = 4400
ROUTE = STAGE_PATH.removeprefix(API)

_LATEST = msgspec.json.Decoder(list[StreamTold])

TellLive = Callable[[LiveEvent], Awaitable[None]]


@dataclass(slots=True)
class Stage:
    """One connection of a simulator."""

    socket: WebSocket
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _waiting: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)

    async def ask(self, asked: Ask) -> Answer:
        """Its answer.

        Raises:
            EngineUnavailable: if it goes away or says nothing in time.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await self.socket.send_text(
                    msgspec.json.encode(Ask(number, asked.organisation, asked.question, asked.given)).decode()
                )
                return await answer
        except (TimeoutError, RuntimeError, WebSocketDisconnect) as error:
            raise EngineUnavailable("the simulator does not answer") from error
        finally:
            self._waiting.pop(number, None)

    def hear(self, answer: Answer) -> None:
        """Takes an answer; one that nobody waits for any more is dropped."""
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def end(self) -> None:
        """Tells everybody who waits that there will be no answer."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineUnavailable("the simulator has left"))


@dataclass(slots=True)
class Stages:
    """The simulators that are connected here, and the way to those that are connected elsewhere."""

    client: Client | None
    tell: TellLive

    async def ask(self, organisation: str, question: str, given: dict[str, Any]) -> bytes:
        """The answer, as JSON.

        Raises:
            Problem: if the simulator refuses, or 503 if there is none.
        """
        answer = await self._find_answer(Ask(0, organisation, question, given))
        if answer.status < 400:
            return bytes(answer.body)
        refused = msgspec.json.decode(answer.body)
        faults = [Fault(**one) for one in refused.get("errors", ())]
        raise Problem(answer.status, refused["code"], refused["detail"], faults)

    async def latest(self, organisation: str) -> list[LiveEvent] | None:
        """What each stream of the organisation told last; None if the simulator is away."""
        try:
            async with asyncio.timeout(LATEST_WITHIN_S):
                told = await self.ask(organisation, LATEST, {})
            words = _LATEST.decode(told)
        except (TimeoutError, Problem, EngineUnavailable, msgspec.MsgspecError) as error:
            log.info("stage.latest_unknown", reason=str(error) or type(error).__name__)
            return None
        return [event_of(one) for one in words if one.organisation == organisation]

    async def _find_answer(self, asked: Ask) -> Answer:
        message = msgspec.json.encode(asked)
        for whose in (asked.organisation, ANYBODY):
            if self.client is None:
                break
            try:
                reply = await self.client.request(
                    ask_subject(whose), message, timeout_s=ANSWERED_WITHIN_S + 1
                )
            except NobodyAnswers:
                continue
            return msgspec.json.decode(zstandard.decompress(reply.data), type=Answer)
        raise Problem(
            503,
            "simulator_away",
            "No simulator is connected. `kw up` runs one; `kw simulate` starts one by hand.",
            retry_after_s=5,
        )

    async def serve(self, socket: WebSocket, hello: Hello) -> None:
        """Asks this simulator what it plays for, and tells what it says, until it leaves."""
        if self.client is None:
            raise EngineUnavailable("NATS is away")
        stage, most_bytes = Stage(socket), self.client.payload_max_bytes
        answering = Answering(self.client, lambda asked: _reply(stage, asked, most_bytes))
        try:
            for whose in [ANYBODY] if hello.organisations is None else hello.organisations:
                await answering.listen(ask_subject(whose), QUEUE)
            while True:
                said = await _hear(socket)
                if isinstance(said, Answer):
                    stage.hear(said)
                elif isinstance(said, Tell):
                    await self._pass_on(said)
                    await socket.send_text(_heard(said))
        finally:
            stage.end()
            await answering.stop()

    async def _pass_on(self, said: Tell) -> None:
        """Tells everybody; returns once NATS has it, so that what is called heard outlives this process."""
        for number, one in enumerate(said.events, said.first):
            await self.tell(event_of(one, said.source or None, number))
        if self.client is not None:
            with contextlib.suppress(EngineUnavailable):  # whoever listens here was told all the same
                await self.client.flush()


async def _hear(socket: WebSocket) -> FromSimulator:
    """The next whole message.

    Raises:
        msgspec.MsgspecError: if it is none of the simulator's, or longer than any can be.
    """
    pieces: list[str] = []
    while isinstance(said := decode_from_simulator(await socket.receive_text()), Part):
        pieces.append(said.text)
        if len(pieces) > MOST_PIECES:
            raise msgspec.ValidationError("a message has too many pieces")
        if said.is_last:
            return decode_from_simulator("".join(pieces))
    return said


async def _reply(stage: Stage, asked: bytes, most_bytes: int) -> bytes:
    """What the simulator answers, packed."""
    try:
        answer = await stage.ask(decode_ask(asked))
    except EngineUnavailable as error:
        answer = _refusal(503, "simulator_away", f"{error}.")
    packed = zstandard.compress(msgspec.json.encode(answer))
    if len(packed) <= most_bytes:
        return packed
    detail = "The answer is too long; ask for fewer streams or a shorter span."
    return zstandard.compress(msgspec.json.encode(_refusal(413, "too_much", detail)))


def _refusal(status: int, code: str, detail: str) -> Answer:
    return Answer(0, status, msgspec.Raw(msgspec.json.encode({"code": code, "detail": detail})))


def _heard(said: Tell) -> str:
    return msgspec.json.encode(Heard(said.first + len(said.events) - 1)).decode()


def event_of(told: StreamTold, source: str | None = None, number: int = 0) -> LiveEvent:
    """What live clients hear of it."""
    frequency = f"frequency.{told.frequency}"
    also = (frequency,) if told.flag == "normal" else (frequency, "anomalies")
    data = {"stream": told.stream, "flag": told.flag, "frequency": told.frequency, **told.data}
    topic = f"streams.{told.stream}"
    return LiveEvent(
        told.organisation, topic, told.ts_us, STREAM, data, also=also, source=source, number=number
    )


def make_routes(stages: Stages, root: bytes) -> APIRouter:
    """The simulator's door; root: the secret that it shares with the server."""
    routes = APIRouter(prefix=API)

    @routes.websocket(ROUTE)
    async def stage(socket: WebSocket) -> None:
        await socket.accept()
        if not is_simulator(socket, root):
            await socket.close(NOT_THE_SIMULATOR, "This door is for the simulator.")
            return
        try:
            async with asyncio.timeout(HELLO_WITHIN_S):
                hello = decode_from_simulator(await socket.receive_text())
            if not isinstance(hello, Hello):
                await socket.close(BAD_MESSAGE, "The first message must be a hello.")
                return
            await stages.serve(socket, hello)
        except TimeoutError:
            await socket.close(BAD_MESSAGE, f"No hello came within {HELLO_WITHIN_S:.0f} s.")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("stage.bad_message", reason=str(error))
            await socket.close(BAD_MESSAGE, "A message was none of the simulator's.")
        except EngineUnavailable as error:
            await socket.close(4503, str(error)[:120])
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return

    return routes
