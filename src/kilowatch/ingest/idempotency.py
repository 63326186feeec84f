"""Requests with an Idempotency-Key: the same request again gets the first answer again.

Keeps true that of two requests with one key only the first is carried out, also when both come at once; and
that one key with another body is refused. What is remembered is the account of the readings, in PostgreSQL;
a fault (503) is not remembered, so that the request can be sent again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from kilowatch.accounts.identity import Caller
from kilowatch.clock import Clock, to_datetime
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.ingest.batch import Reject
from kilowatch.ingest.intake import Taken
from kilowatch.ingest.pressure import POSTGRES, Pressure
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.store import RememberedResponse, find_response, forget_responses, remember_response

Key = tuple[int, str]


class Idempotency:
    """The memory of answered requests, kept for `hours`."""

    def __init__(self, database: Database, pressure: Pressure, clock: Clock, hours: int) -> None:
        self._database = database
        self._pressure = pressure
        self._clock = clock
        self._kept_for = timedelta(hours=hours)
        self._running: dict[Key, tuple[bytes, asyncio.Task[Taken]]] = {}

    async def once(
        self, caller: Caller, key: str, fingerprint: bytes, take: Callable[[], Awaitable[Taken]]
    ) -> Taken:
        """What `take` returned for this key, now or earlier.

        Raises:
            Problem: 422 when the key was used for another request, 503 when an engine does not answer.
        """
        place = (caller.key_no, _kept_as(caller, key))
        running = self._running.get(place)
        if running is None:
            task = asyncio.create_task(self._take_once(caller, key, fingerprint, take))
            self._running[place] = running = (fingerprint, task)
            task.add_done_callback(lambda _: self._running.pop(place, None))
        elif running[0] != fingerprint:
            raise _other_request(key)
        # One sender's end (a closed connection) must not end what another waits for.
        return await asyncio.shield(running[1])

    async def _take_once(
        self, caller: Caller, key: str, fingerprint: bytes, take: Callable[[], Awaitable[Taken]]
    ) -> Taken:
        kept_as = _kept_as(caller, key)
        try:
            async with self._database.scope(caller.organisation_id) as connection:
                oldest = to_datetime(self._clock.now_us()) - self._kept_for
                found = await find_response(connection, caller.key_no, kept_as)
                if found is not None and found.created_at < oldest:
                    await forget_responses(connection, oldest)
                    found = None
            if found is not None:
                return _remembered(found, key, fingerprint)
            taken = await take()
            async with self._database.scope(caller.organisation_id) as connection:
                first = await remember_response(
                    connection, caller.organisation_id, caller.key_no, kept_as, fingerprint, _account(taken)
                )
        except EngineUnavailable as error:
            raise self._pressure.note(error, POSTGRES) from error
        return _remembered(first, key, fingerprint)


def fingerprint_of(method: str, path: str, query: bytes, media_type: bytes, body: bytes) -> bytes:
    """SHA-256 of all that a request says; 32 bytes."""
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), query, media_type):
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(body)
    return digest.digest()


def mark_of(caller: Caller, key: str, fingerprint: bytes) -> str:
    """The request's own name in the log and among the dead letters."""
    named = hashlib.sha256(_kept_as(caller, key).encode() + b"\0" + fingerprint).hexdigest()[:32]
    return f"http-{caller.key_no}-{named}"


def _kept_as(caller: Caller, key: str) -> str:
    """The key as it is remembered: devices share a key number, and may choose the same Idempotency-Key."""
    if caller.device is None:
        return key
    return hashlib.sha256(f"{caller.device_no}/{key}".encode()).hexdigest()


def _account(taken: Taken) -> dict[str, Any]:
    rejected = [{"index": one.index, "code": one.code, "detail": one.detail} for one in taken.rejects]
    return {"accepted": taken.accepted, "rejected": rejected}


def _remembered(found: RememberedResponse, key: str, fingerprint: bytes) -> Taken:
    if found.fingerprint != fingerprint:
        raise _other_request(key)
    rejects = [Reject(one["index"], one["code"], one["detail"]) for one in found.response["rejected"]]
    return Taken(found.response["accepted"], rejects)


def _other_request(key: str) -> Problem:
    return Problem(422, "idempotency_key_reused", f"Idempotency-Key {key!r} was used for another request")
