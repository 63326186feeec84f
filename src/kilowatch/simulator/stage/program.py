"""The connection to the server: answers what it asks, and tells what streams say.

Keeps true: while the server is away the worlds go on, and what they told meanwhile, up to a bound, is told in
order when it is back, and both is said in the log; a word that may be lost is told again under its number.
What playing needs is loaded with the first question.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import Problem
from kilowatch.simulator.stage.untold import Untold
from kilowatch.wire.simulation import simulator_token
from kilowatch.wire.stage import (
    LATEST,
    STAGE_PATH,
    Answer,
    Ask,
    FromServer,
    Heard,
    Hello,
    StreamTold,
    Telling,
    decode_from_server,
    frames_of,
)

if TYPE_CHECKING:
    from kilowatch.simulator.fleet.rows import Circumstances
    from kilowatch.simulator.stage.desk import Desk

log = structlog.get_logger()

BEAT_S = 0.1
"""Clients are told at most so often; words that come in between would wait for them."""
AGAIN_S, AGAIN_MOST_S = 0.25, 2.0
IDLE_EVERY_S = 60.0


def ignore(_surroundings: "dict[str, Circumstances]") -> None:
    """For who plays worlds without homes."""


@dataclass(slots=True)
class Program:
    """Worlds for whoever asks at one server. root: the secret shared with it; organisations: for whom worlds
    are played, None for all; surround: is told what surrounds homes to try, by organisation, whenever worlds
    went on."""

    base_url: str
    root: bytes = field(repr=False)
    make_desk: "Callable[[], Desk]"
    clock: Clock
    organisations: list[str] | None = None
    surround: "Callable[[dict[str, Circumstances]], None]" = ignore
    untold: Untold = field(default_factory=Untold)
    _desk: "Desk | None" = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _saying: asyncio.Lock = field(default_factory=asyncio.Lock)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _away_us: int | None = None
    _lost_before: int = 0

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
                    self._note_away("it closed the connection")
                except (OSError, TimeoutError, WebSocketException) as error:
                    self._note_away(str(error) or type(error).__name__)
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
        self._note_back()
        telling = asyncio.create_task(self._tell_on(socket))
        answering: set[asyncio.Task[None]] = set()
        try:
            async for text in socket:
                said = _understand(text)
                if isinstance(said, Heard):
                    self.untold.hear(said.until)
                    self._heard.set()
                elif said is not None:
                    task = asyncio.create_task(self._answer(socket, said))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
        finally:
            telling.cancel()
            for task in answering:
                task.cancel()
            await asyncio.gather(telling, *answering, return_exceptions=True)

    async def _answer(self, socket: ClientConnection, ask: Ask) -> None:
        status, body = 200, cast("Any", None)
        try:
            if ask.question == LATEST:
                body = self._find_latest(ask.organisation)
            else:
                async with self._turn:
                    body = await asyncio.to_thread(self._find_answer, ask)
                self._add_counts(ask, body)
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

    async def _say(self, socket: ClientConnection, message: Hello | Answer | Telling) -> None:
        """Sends a message whole, in pieces where it is long."""
        async with self._saying:
            for frame in frames_of(message):
                await socket.send(frame)

    def _find_answer(self, ask: Ask) -> object:
        if self._desk is None:
            self._desk = self.make_desk()
        return self._desk.answer(ask.organisation, ask.question, ask.given)

    def _find_latest(self, organisation: str) -> list[StreamTold]:
        """What the streams told last, at once: whoever joins waits for no other question."""
        return [] if self._desk is None else self._desk.latest(organisation)

    def _add_counts(self, ask: Ask, body: Any) -> None:
        """Adds to a state how many words wait and how many were given up."""
        if ask.question in ("state", "change"):
            body["buffered"] = self.untold.count(ask.organisation)
            body["lost"] = self.untold.lost[ask.organisation]

    def _keep(self, told: list[StreamTold]) -> None:
        lost = self.untold.lost.total()
        self.untold.add(told)
        if self.untold.lost.total() > lost == self._lost_before:
            log.warning("too many words wait; the oldest are given up", bound=self.untold.bound)
        if told:
            self._some.set()

    def _note_away(self, reason: str) -> None:
        if self._away_us is None:
            self._away_us = self.clock.now_us()
            log.warning(
                "the server is away", reason=reason, waiting=len(self.untold), bound=self.untold.bound
            )

    def _note_back(self) -> None:
        if self._away_us is not None:
            away_s = round((self.clock.now_us() - self._away_us) / MICROSECONDS, 1)
            lost = self.untold.lost.total() - self._lost_before
            log.warning("the server is back", away_s=away_s, waiting=len(self.untold), lost=lost)
        self._away_us, self._lost_before = None, self.untold.lost.total()

    async def _play_on(self) -> None:
        """Has all worlds tell what is due."""
        idle_us = self.clock.now_us()
        while True:
            if self._desk is not None:
                async with self._turn:
                    self._keep(await asyncio.to_thread(self._desk.advance))
                    self.surround(self._desk.surroundings())
                    if self.clock.now_us() - idle_us > IDLE_EVERY_S * MICROSECONDS:
                        idle_us = self.clock.now_us()
                        self._desk.end_idle()
            await asyncio.sleep(BEAT_S)

    async def _tell_on(self, socket: ClientConnection) -> None:
        """Tells what waits, oldest first; the next words go out once these were heard."""
        while True:
            while not len(self.untold):
                self._some.clear()
                await self._some.wait()
            self._heard.clear()
            await self._say(socket, self.untold.next())
            await self._heard.wait()


def _understand(text: str | bytes) -> FromServer | None:
    """What the server says; nothing where it is of a later version."""
    try:
        return decode_from_server(text)
    except msgspec.MsgspecError as error:
        log.warning("the server said something unknown", reason=str(error))
        return None
