"""The front doors: the paths that readings come in by, as one bare ASGI application.

Keeps true that a request is refused as a whole before anything of it is taken (credentials, pressure, size),
and that its answer comes after the log's. No framework stands on this path, because a device's single reading
is handled here tens of thousands of times a second.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec
import structlog
from starlette.requests import HTTPConnection

from kilowatch.accounts.identity import Authenticator, Caller, require_scope
from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.ingest.accept import Terms
from kilowatch.ingest.answer import (
    JSON_TYPE,
    PONG,
    Answer,
    Send,
    accepted_answer,
    answer_lifespan,
    influx_answer,
    influx_problem_answer,
    nothing_accepted,
    parcel_answer,
    problem_answer,
)
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.body import (
    DECODE_BESIDE_BYTES,
    HeldBytes,
    Receive,
    SenderGone,
    beside,
    read_body,
    unpack_beside,
)
from kilowatch.ingest.connection import Respond
from kilowatch.ingest.decode_influx import decode_influx
from kilowatch.ingest.decode_json import Plain, plain_readings
from kilowatch.ingest.directory import Directory, Known
from kilowatch.ingest.forms import JSON_TYPES, Decode, decoder_of, influx_credentials
from kilowatch.ingest.gather import Awaited, Gatherer, Parcel
from kilowatch.ingest.idempotency import Idempotency, fingerprint_of, mark_of
from kilowatch.ingest.intake import Intake, Taken
from kilowatch.ingest.logins import MqttLogins
from kilowatch.ingest.mqtt import MqttDoor
from kilowatch.ingest.own import decode_for, may_send
from kilowatch.ingest.pressure import (
    DISK,
    LOG,
    POSTGRES,
    Brake,
    Pressure,
    probe_disk,
    probe_log,
    probe_postgres,
)
from kilowatch.ingest.replay import FindHeader, Replayer, is_replay, shown_header
from kilowatch.ingest.request import Request, on_conflict, parameters
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.stream.logins import Logins
from kilowatch.stream.mqtt import MqttInbox

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Request, Receive], Awaitable[Answer]]

READINGS = "/api/v1/readings"
INFLUX_WRITES = ("/api/v2/write", "/write")

GATHERED_BYTES = 16 * 1024
"""Bodies up to this size wait for company."""
GATHERED_READINGS = 64
"""Requests of at most this many readings wait for company; others fill a message by themselves."""
HELD_BODIES = 8
"""So many bodies of the largest size may be in work at the same time."""

_log = structlog.get_logger(__name__)


class Doors:
    """The ASGI application. Paths that are not its own go to `beyond`, when there is one."""

    def __init__(
        self,
        intake: Intake,
        authenticator: Authenticator,
        idempotency: Idempotency,
        settings: Settings,
        mqtt: MqttDoor | None = None,
        logins: MqttLogins | None = None,
        beyond: App | None = None,
        find_header: FindHeader = shown_header,
    ) -> None:
        self._intake = intake
        self._replayer = Replayer(intake, authenticator, find_header)
        self._authenticator = authenticator
        self._idempotency = idempotency
        self._over_mqtt = [part for part in (mqtt, logins) if part is not None]
        self._beyond = beyond
        self._most = settings.body_max_bytes
        self._held = HeldBytes(HELD_BODIES * settings.body_max_bytes)
        self._gatherer = Gatherer(intake.take_parcels, settings.gather_ms / 1000)
        self._posts: dict[str, Handler] = {READINGS: self._take_readings}
        self._posts |= dict.fromkeys(INFLUX_WRITES, self._take_influx)
        self._gets: dict[str, Callable[[], Answer]] = {"/ping": lambda: PONG, "/health": self._health}

    async def start(self) -> None:
        """Looks at the engines, listens for changes and begins to empty the devices' inbox."""
        await self._intake.directory.start()
        await self._intake.pressure.start()
        for part in self._over_mqtt:
            await part.start()

    async def stop(self) -> None:
        """Refuses what comes from now on and returns once everything gathered has been answered."""
        for part in reversed(self._over_mqtt):
            await part.stop()
        await self._gatherer.drain()
        await self._intake.drain()
        await self._intake.pressure.stop()
        await self._intake.directory.stop()

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for company or for the log."""
        return self._gatherer.busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._pass_on(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        handler = self._posts.get(path) if method == "POST" else None
        if handler is None and method == "POST" and is_replay(path):
            handler = partial(self._replayer.replay, HTTPConnection(scope))
        if handler is not None:
            await self._handle(handler, Request(scope), receive, send)
        elif method in ("GET", "HEAD") and path in self._gets:
            await self._gets[path]().send(send, Request(scope).id)
        else:
            await self._pass_on(scope, receive, send)

    async def _handle(self, handler: Handler, request: Request, receive: Receive, send: Send) -> None:
        try:
            answer = await handler(request, receive)
        except SenderGone:
            return
        except Problem as problem:
            answer = self._refusal(request, problem)
        except EngineUnavailable as error:
            answer = self._refusal(request, self._intake.pressure.note(error, POSTGRES))
        except Exception:
            answer = self._fault_answer(request.path, request.id)
        await answer.send(send, request.id)

    def _refusal(self, request: Request, problem: Problem) -> Answer:
        metrics.REQUESTS_REFUSED.labels(problem.code).inc()
        if request.path in INFLUX_WRITES:
            return influx_problem_answer(problem, request.id)
        return problem_answer(problem, request.id)

    async def _take_readings(self, request: Request, receive: Receive) -> Answer:
        caller = await self._admit(request)
        terms: Terms = ("http", on_conflict(request.query))
        body = await read_body(receive, request.length, self._most, self._held)
        held = len(body)
        try:
            if request.encoding:
                body = await unpack_beside(body, request.encoding, self._most)
            small = len(body) <= GATHERED_BYTES and not request.keyed
            if small and request.media_type in JSON_TYPES:
                plain = plain_readings(body)
                if plain is not None and 0 < len(plain) <= GATHERED_READINGS and may_send(caller, plain):
                    return await self._gather(caller, terms, plain)
            taken = await self._take_body(request, caller, body, terms, decoder_of(request.media_type), small)
        finally:
            self._held.give(held)
        if not taken.accepted and taken.rejects:
            raise nothing_accepted(taken.rejects)
        return accepted_answer(taken.accepted, taken.rejects)

    async def _take_influx(self, request: Request, receive: Receive) -> Answer:
        wishes = parameters(request.query)
        caller = await self._admit(request, wishes)
        precision = wishes.get("precision") or "ns"
        terms: Terms = ("influx", on_conflict(request.query))
        body = await read_body(receive, request.length, self._most, self._held)
        held = len(body)
        try:
            if request.encoding:
                body = await unpack_beside(body, request.encoding, self._most)
            small = len(body) <= GATHERED_BYTES and not request.keyed

            def decode(body: bytes, limits: Limits, known: Known) -> Batch:
                return decode_influx(body, limits, known.devices, precision=precision)

            taken = await self._take_body(request, caller, body, terms, decode, small)
        finally:
            self._held.give(held)
        return influx_answer(taken.accepted, taken.rejects, request.id)

    async def _admit(self, request: Request, wishes: dict[str, str] | None = None) -> Caller:
        """Who sends, when readings can be taken and may be sent by them.

        Raises:
            Problem: 401, 403 or 503.
        """
        header = request.authorization.decode("latin-1")
        if wishes is not None:
            header = influx_credentials(header, wishes)
        caller = await self._authenticator.authenticate(header)
        if "ingest" not in caller.scopes:
            require_scope(caller, "ingest")
        self._intake.pressure.check()
        return caller

    async def _gather(self, caller: Caller, terms: Terms, plain: Sequence[Plain]) -> Answer:
        """Waits for company and for the log."""
        self._set_times(plain)
        awaited = Awaited(caller, plain)
        self._gatherer.put(terms, awaited.parcel)
        return parcel_answer(await awaited.wait())

    def take_quickly(self, authorization: bytes, body: bytes, request_id: bytes, respond: Respond) -> bool:
        """Takes a small body's readings without a task of their own and calls `respond` when the log has
        them; False where anything stands against it, which the long way then finds and tells."""
        if self._intake.pressure.refusal is not None or not self._held.has_room(len(body)):
            return False
        caller = self._authenticator.recall(authorization.decode("latin-1"))
        if caller is None or "ingest" not in caller.scopes:
            return False
        plain = plain_readings(body)
        if plain is None or not 0 < len(plain) <= GATHERED_READINGS or not may_send(caller, plain):
            return False
        held = len(body)

        def told(parcel: Parcel) -> None:
            self._held.give(held)
            respond(self._told_answer(parcel, request_id))

        self._held.take(held)
        self._set_times(plain)
        try:
            self._gatherer.put(("http", "reject"), Parcel(caller, told, plain))
        except Problem:
            self._held.give(held)
            return False
        return True

    def _told_answer(self, parcel: Parcel, request_id: bytes) -> Answer:
        """The answer to a parcel's sender, whatever became of it."""
        error = parcel.error
        try:
            if error is None:
                return parcel_answer(parcel)
            raise error
        except Problem as problem:
            metrics.REQUESTS_REFUSED.labels(problem.code).inc()
            return problem_answer(problem, request_id)
        except Exception:
            return self._fault_answer(READINGS, request_id)

    def _fault_answer(self, path: str, request_id: bytes) -> Answer:
        """500: logs the exception that is being handled under the request's id."""
        with structlog.contextvars.bound_contextvars(request_id=request_id.decode("ascii")):
            _log.exception("request_failed", path=path)
        metrics.REQUESTS_REFUSED.labels("internal_error").inc()
        fault = Problem(500, "internal_error", "this is a fault of ours; its request id is in our log")
        return problem_answer(fault, request_id)

    def _set_times(self, plain: Sequence[Plain]) -> None:
        """Gives readings without a time the present one. Done as each request comes, because two such
        readings in one group must not get the same."""
        for reading in plain:
            if reading.ts is None:
                reading.ts = self._intake.clock.now_us() / 1000

    async def _take_body(
        self, request: Request, caller: Caller, body: bytes, terms: Terms, decode: Decode, small: bool
    ) -> Taken:
        """Takes what is not plain JSON, or too much to wait for company."""
        known = await self._intake.get_known(caller.organisation_id)
        if request.keyed:
            return await self._take_keyed(request, caller, body, terms, decode, known)
        large = len(body) > DECODE_BESIDE_BYTES
        batch = await beside(large, decode_for(caller, decode), body, self._intake.limits(), known)
        if not small or len(batch) + len(batch.rejects) > GATHERED_READINGS:
            return await self._intake.take_batch(caller, batch, known, terms)
        awaited = Awaited(caller, (), batch)
        if not awaited.parcel.count:
            return Taken(0, ())
        self._gatherer.put(terms, awaited.parcel)
        parcel = await awaited.wait()
        return Taken(parcel.count - len(parcel.rejects), parcel.rejects)

    async def _take_keyed(
        self, request: Request, caller: Caller, body: bytes, terms: Terms, decode: Decode, known: Known
    ) -> Taken:
        key, large = request.idempotency_key, len(body) > DECODE_BESIDE_BYTES
        said = (request.method, request.path, request.query, request.media_type, body)
        fingerprint = await beside(large, fingerprint_of, *said)

        async def take() -> Taken:
            batch = await beside(large, decode_for(caller, decode), body, self._intake.limits(), known)
            return await self._intake.take_batch(
                caller, batch, known, terms, mark=mark_of(caller, key, fingerprint)
            )

        return await self._idempotency.once(caller, key, fingerprint, take)

    def _health(self) -> Answer:
        """What an Influx client asks before it writes."""
        refusal = self._intake.pressure.refusal
        health = {
            "name": "kilowatch",
            "message": "ready for readings" if refusal is None else refusal.detail,
            "checks": [],
            "status": "pass" if refusal is None else "fail",
            "version": version("kilowatch"),
        }
        return Answer(200 if refusal is None else 503, [JSON_TYPE], msgspec.json.encode(health))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._beyond is not None:
            await self._beyond(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope)
            await problem_answer(self._not_here(request), request.id).send(send, request.id)
        elif scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404})

    def _not_here(self, request: Request) -> Problem:
        if request.path in self._posts or request.path in self._gets:
            return Problem(405, "method_not_allowed", f"{request.path} does not take {request.method}")
        return Problem(404, "not_found", f"there is nothing at {request.path[:200]!r}")


def create_doors(
    settings: Settings,
    clock: Clock,
    database: Database,
    client: Client,
    *,
    authenticator: Authenticator | None = None,
    inbox: MqttInbox | None = None,
    logins: Logins | None = None,
    beyond: App | None = None,
    find_header: FindHeader = shown_header,
) -> Doors:
    """The doors over these engines, to be started and stopped by whoever made the engines. The log's stream
    (`Log.ensure`) and the inbox's (`MqttInbox.ensure`) must be there.

    inbox: what devices publish over MQTT, when this process is to take it in; logins: the MQTT server's,
    when it is to decide them; beyond: the application behind the doors, for all other paths;
    find_header: what stands for the credentials of a browser that replays.
    """
    log = Log(client)
    authenticator = authenticator or Authenticator(database, clock)
    directory = Directory(database, client)
    directory.on_keys_changed(authenticator.invalidate)
    brake = Brake()
    probes = {
        POSTGRES: probe_postgres(database),
        LOG: probe_log(log, clock, settings, brake),
        DISK: probe_disk(settings.data, settings.disk_full_percent),
    }
    pressure = Pressure(probes, brake=brake)
    intake = Intake(log, database, directory, pressure, clock, settings)
    idempotency = Idempotency(database, pressure, clock, settings.idempotency_hours)
    mqtt = None if inbox is None else MqttDoor(inbox, intake, clock)
    deciding = None if logins is None else MqttLogins(logins, database, client, clock)
    return Doors(intake, authenticator, idempotency, settings, mqtt, deciding, beyond, find_header)
