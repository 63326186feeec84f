"""The connection to the server: answers what it asks, and tells what streams say.

Keeps true: while the server is away the worlds go on, and what they told meanwhile, up to a bound, is told
when it is back; nothing is told twice. What playing needs is loaded with the first question.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import Problem
from kilowatch.wire.simulation import simulator_token
from kilowatch.wire.stage import STAGE_PATH, Answer, Ask, Hello, StreamTold, Tell, decode_ask, frames_of

if TYPE_CHECKING:
    from kilowatch.simulator.fleet.rows import Circumstances
    from kilowatch.simulator.stage.desk import Desk

log = structlog.get_logger()

BEAT_S = 0.05
AGAIN_S, AGAIN_MOST_S = 0.5, 10.0
AT_ONCE = 200
KEPT = 20_000
"""So much of what streams told is kept while the server is away; then the oldest goes first."""
IDLE_EVERY_S = 60.0


def ignore(_surroundings: "dict[str, Circumstances]") -> None:
    """For who plays worlds without homes."""


@dataclass(slots=True)
class Program:
    """Worlds for whoever asks at one server. root: the secret shared with it; organisations: for whom worlds
    are played, None for all; surround: is told what surrounds homes to try, by organisation, whenever worlds
    went on."""

    base_url: str
    root: bytes
    make_desk: "Callable[[], Desk]"
    clock: Clock
    organisations: list[str] | None = None
    surround: "Callable[[dict[str, Circumstances]], None]" = ignore
    kept: deque[StreamTold] = field(default_factory=lambda: deque(maxlen=KEPT))
    _desk: "Desk | None" = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _saying: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Plays until cancelled."""
        playing = asyncio.create_task(self._play_on())
        pause_s = AGAIN_S
        try:
            while True:
                try:
                    async with connect(
                        self._address(), additional_headers=self._token(), max_size=None
                    ) as socket:
                        pause_s = AGAIN_S
                        await self._serve(socket)
                except (OSError, TimeoutError, WebSocketException) as error:
                    log.info("the server is away", reason=str(error) or type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, AGAIN_MOST_S)
        finally:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing

    def _address(self) -> str:
        return self.base_url.replace("http", "ws", 1).rstrip("/") + STAGE_PATH

    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {simulator_token(self.root)}"}

    async def _serve(self, socket: ClientConnection) -> None:
        await self._say(socket, Hello(self.organisations))
        telling = asyncio.create_task(self._tell_on(socket))
        answering: set[asyncio.Task[None]] = set()
        try:
            async for text in socket:
                task = asyncio.create_task(self._answer(socket, decode_ask(text)))
                answering.add(task)
                task.add_done_callback(answering.discard)
        finally:
            telling.cancel()
            for task in answering:
                task.cancel()
            await asyncio.gather(telling, *answering, return_exceptions=True)

    async def _answer(self, socket: ClientConnection, ask: Ask) -> None:
        status, body = 200, None
        try:
            async with self._turn:
                body = await asyncio.to_thread(self._find_answer, ask)
        except Problem as problem:
            status = problem.status
            body = {
                "code": problem.code,
                "detail": problem.detail,
                "errors": [fault.as_dict() for fault in problem.errors],
            }
        except Exception:
            log.exception("a question cannot be answered", question=ask.question)
            status, body = (
                500,
                {"code": "simulator_failed", "detail": "The simulator failed; its log says why."},
            )
        await self._say(socket, Answer(ask.id, status, msgspec.Raw(msgspec.json.encode(body))))

    async def _say(self, socket: ClientConnection, message: Hello | Answer | Tell) -> None:
        """Sends a message whole, in pieces where it is long."""
        async with self._saying:
            for frame in frames_of(message):
                await socket.send(frame)

    def _find_answer(self, ask: Ask) -> object:
        if self._desk is None:
            self._desk = self.make_desk()
        return self._desk.answer(ask.organisation, ask.question, ask.given)

    async def _play_on(self) -> None:
        """Has all worlds tell what is due."""
        idle_us = self.clock.now_us()
        while True:
            if self._desk is not None:
                async with self._turn:
                    self.kept.extend(await asyncio.to_thread(self._desk.advance))
                    self.surround(self._desk.surroundings())
                    if self.clock.now_us() - idle_us > IDLE_EVERY_S * MICROSECONDS:
                        idle_us = self.clock.now_us()
                        self._desk.end_idle()
            await asyncio.sleep(BEAT_S)

    async def _tell_on(self, socket: ClientConnection) -> None:
        while True:
            some = [self.kept[place] for place in range(min(AT_ONCE, len(self.kept)))]
            if some:
                await self._say(socket, Tell(some))
                for one in some:
                    if self.kept and self.kept[0] is one:
                        self.kept.popleft()
            await asyncio.sleep(BEAT_S)
