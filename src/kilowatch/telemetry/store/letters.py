"""Dead letters in PostgreSQL: readings that were refused, until somebody replays or discards them.

Keeps true: a dead letter of one source exists once. Row-level security decides whose letters are seen.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, literal, select, text, tuple_, update

from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.telemetry.dead_letter import DeadLetter, NewDeadLetter, storable_json, storable_text
from kilowatch.telemetry.tables import dead_letters


@dataclass(frozen=True, slots=True)
class LetterCount:
    """How many letters came by a door and were refused for one reason; oldest, newest: when they came."""

    door: str
    code: str
    waiting: int
    replayed: int
    oldest: datetime
    newest: datetime


# Whoever deletes a device waits for the lock on it, and then takes the letter as well.
KEEP_DEAD_LETTERS = text("""
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:organisations AS uuid[]), CAST(:devices AS text[]), CAST(:doors AS text[]),
            CAST(:codes AS text[]), CAST(:details AS text[]), CAST(:payloads AS jsonb[]),
            CAST(:times AS timestamptz[]), CAST(:sources AS text[])
        ) AS g (organisation_id, device, door, code, detail, payload, received_at, source)
    ),
    standing AS (
        SELECT d.organisation_id, d.id FROM kilowatch.devices d
        WHERE CAST(:of_devices AS boolean)
            AND (d.organisation_id, d.id) IN (SELECT organisation_id, device FROM given)
        FOR KEY SHARE
    )
    INSERT INTO kilowatch.dead_letters
        (organisation_id, device, door, code, detail, payload, received_at, source)
    SELECT given.* FROM given
    WHERE NOT CAST(:of_devices AS boolean)
        OR (organisation_id, device) IN (SELECT organisation_id, id FROM standing)
    ON CONFLICT (source) DO NOTHING
    RETURNING code
""")


async def keep_dead_letters(
    connection: Connection, letters: Sequence[NewDeadLetter], *, of_devices: bool = False
) -> list[str]:
    """Keeps refused readings and returns the codes of those that were new; one whose `source` is kept already
    is not, and with `of_devices` none whose device is gone."""
    # Sorted, because two workers that keep the same sources in different orders would wait for each other.
    ordered = sorted(letters, key=lambda letter: letter.source or "")
    kept = await connection.execute(
        KEEP_DEAD_LETTERS,
        {
            "organisations": [letter.organisation_id for letter in ordered],
            "devices": [
                None if letter.device is None else storable_text(letter.device) for letter in ordered
            ],
            "doors": [letter.door for letter in ordered],
            "codes": [letter.code for letter in ordered],
            "details": [storable_text(letter.detail) for letter in ordered],
            "payloads": [storable_json(letter.payload) for letter in ordered],
            "times": [letter.received_at for letter in ordered],
            "sources": [letter.source for letter in ordered],
            "of_devices": of_devices,
        },
    )
    return list(kept.scalars())


async def list_dead_letters(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    replayed: bool | None = None,
    **equal_to: str | None,
) -> Page[DeadLetter]:
    """Newest first, narrowed by `device`, `door` or `code` in `equal_to`, and by whether it was replayed."""
    newest = (dead_letters.c.received_at, dead_letters.c.id)
    query = select(dead_letters).order_by(*(column.desc() for column in newest)).limit(check_limit(limit) + 1)
    query = query.where(*_narrowed(replayed, equal_to))
    if cursor is not None:
        received_at, letter_id = read_cursor(cursor, tuple[datetime, uuid.UUID])
        query = query.where(tuple_(*newest) < tuple_(literal(received_at), literal(letter_id)))
    found = [DeadLetter(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda letter: (letter.received_at, letter.id))


async def get_dead_letter(connection: Connection, letter_id: uuid.UUID) -> DeadLetter:
    """The dead letter of this id.

    Raises:
        Problem: 404.
    """
    query = select(dead_letters).where(dead_letters.c.id == letter_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _no_letter(letter_id)
    return DeadLetter(**row)


async def count_dead_letters(connection: Connection, device: str, since: datetime) -> int:
    """How many readings of a device were refused since then."""
    query = select(func.count()).select_from(dead_letters).where(dead_letters.c.device == device)
    return int((await connection.execute(query.where(dead_letters.c.received_at >= since))).scalar_one())


async def mark_replayed(connection: Connection, letter_id: uuid.UUID) -> DeadLetter:
    """Notes that the letter was sent once more, now.

    Raises:
        Problem: 404, or 409 when somebody else noted so before.
    """
    own = dead_letters.c.id == letter_id, dead_letters.c.replayed_at.is_(None)
    marked = update(dead_letters).where(*own).values(replayed_at=func.now())
    row = (await connection.execute(marked.returning(dead_letters))).mappings().one_or_none()
    if row is None:
        await get_dead_letter(connection, letter_id)
        raise Problem(409, "already_replayed", f"the dead letter {letter_id} was replayed already")
    return DeadLetter(**row)


async def delete_dead_letter(connection: Connection, letter_id: uuid.UUID) -> None:
    """Throws the letter away.

    Raises:
        Problem: 404.
    """
    gone = await connection.execute(delete(dead_letters).where(dead_letters.c.id == letter_id))
    if gone.rowcount == 0:
        raise _no_letter(letter_id)


async def discard_dead_letters(
    connection: Connection, most: int, replayed: bool | None = None, **equal_to: str | None
) -> int:
    """Throws away the oldest letters that `list_dead_letters` would show; how many, at most `most`."""
    chosen = select(dead_letters.c.id).where(*_narrowed(replayed, equal_to))
    oldest = chosen.order_by(dead_letters.c.received_at, dead_letters.c.id).limit(most)
    # As a common table it is worked out once; inside of IN it may be once a row.
    ids = oldest.with_for_update().cte("oldest")
    gone = await connection.execute(delete(dead_letters).where(dead_letters.c.id.in_(select(ids.c.id))))
    return gone.rowcount


async def summarise_dead_letters(connection: Connection) -> list[LetterCount]:
    """How many letters there are by door and code, those that wait first and the most of them before."""
    waiting = func.count().filter(dead_letters.c.replayed_at.is_(None))
    query = select(
        dead_letters.c.door,
        dead_letters.c.code,
        waiting.label("waiting"),
        (func.count() - waiting).label("replayed"),
        func.min(dead_letters.c.received_at).label("oldest"),
        func.max(dead_letters.c.received_at).label("newest"),
    ).group_by(dead_letters.c.door, dead_letters.c.code)
    ordered = query.order_by(waiting.desc(), dead_letters.c.door, dead_letters.c.code)
    return [LetterCount(**row) for row in (await connection.execute(ordered)).mappings()]


def _narrowed(replayed: bool | None, equal_to: Mapping[str, str | None]) -> list[ColumnElement[bool]]:
    conditions = [dead_letters.c[name] == value for name, value in equal_to.items() if value is not None]
    if replayed is not None:
        conditions.append(dead_letters.c.replayed_at.is_not(None) == replayed)
    return conditions


def _no_letter(letter_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no dead letter {letter_id}.")
