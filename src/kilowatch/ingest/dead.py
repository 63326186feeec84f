"""Rejected readings on their way to the dead letters, and back.

Keeps true that a letter is stored before its sender hears of it, all of one request in one statement; and
that replaying a letter is the same as sending its reading again, under the time at which it first came.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from kilowatch.accounts.identity import Caller
from kilowatch.clock import to_datetime, to_us
from kilowatch.errors import Problem
from kilowatch.ingest.batch import Batch, Limits, Reject
from kilowatch.ingest.decode_influx import decode_influx
from kilowatch.ingest.decode_json import decode_json
from kilowatch.ingest.directory import Known
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.dead_letter import DeadLetter, NewDeadLetter
from kilowatch.telemetry.store.letters import get_dead_letter, keep_dead_letters, mark_replayed
from kilowatch.wire.frame import Door


async def keep_rejects(
    database: Database,
    organisation_id: uuid.UUID,
    rejects: Sequence[Reject],
    door: Door,
    received_us: int,
    sources: Sequence[str | None],
) -> None:
    """Stores the rejects as dead letters. `sources` names those that might come a second time.

    Raises:
        EngineUnavailable: if PostgreSQL does not answer; none is stored then.
    """
    if not rejects:
        return
    received_at = to_datetime(received_us)
    letters = [
        NewDeadLetter(
            organisation_id,
            one.device,
            door,
            one.code,
            one.detail,
            one.payload,
            received_at,
            source,
        )
        for one, source in zip(rejects, sources, strict=True)
    ]
    async with database.scope(organisation_id) as connection:
        await keep_dead_letters(connection, letters)


def read_letter_id(text: str) -> uuid.UUID:
    """The id of a letter.

    Raises:
        Problem: 404 for what can be none.
    """
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Problem(404, "not_found", "a dead letter's id is a UUID") from None


async def open_letter(database: Database, caller: Caller, letter_id: uuid.UUID) -> DeadLetter:
    """The letter, to be replayed.

    Raises:
        Problem: 404, or 409 when it was replayed already.
    """
    async with database.scope(caller.organisation_id) as connection:
        letter = await get_dead_letter(connection, letter_id)
    if letter.replayed_at is not None:
        raise Problem(409, "already_replayed", f"the dead letter {letter_id} was replayed already")
    return letter


async def close_letter(database: Database, caller: Caller, letter_id: uuid.UUID) -> None:
    """Notes that the letter's reading is in the log."""
    async with database.scope(caller.organisation_id) as connection:
        await mark_replayed(connection, letter_id)
    metrics.DEAD_LETTERS_HANDLED.labels("replayed").inc()


def decode_letter(letter: DeadLetter, limits: Limits, known: Known) -> Batch:
    """The reading of a letter; one without a time keeps the time at which it first came.

    Raises:
        Problem: 422 when the letter holds no reading at all.
    """
    then = replace(limits, now_us=to_us(letter.received_at))
    payload = letter.payload
    if isinstance(payload, str) and letter.door == "influx":
        return decode_influx(payload.encode(), then, known.devices)
    told = isinstance(payload, dict) and bool(payload.get("device"))
    try:
        return decode_json(
            msgspec.json.encode(payload), then, known.devices, device=None if told else letter.device
        )
    except Problem as problem:
        raise Problem(422, "bad_shape", f"the dead letter holds no reading: {problem.detail}") from problem
