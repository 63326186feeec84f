"""Second factors and recovery codes in PostgreSQL.

Keeps true: a step of a second factor and a recovery code are good once. Secrets come here sealed, recovery
codes are kept as hashes.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, update

from kilowatch.accounts.tables import recovery_codes, second_factors
from kilowatch.ids import hash_secret
from kilowatch.postgres.engine import Connection


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A user's second factor: its sealed secret, and since when it is asked for; None while it is not yet."""

    secret: bytes
    confirmed_at: datetime | None


async def begin_second_factor(connection: Connection, user_id: uuid.UUID, sealed: bytes) -> bool:
    """Keeps the secret of a second factor that is not asked for yet; False when one is asked for already."""
    kept = await connection.execute(
        text(
            "INSERT INTO kilowatch.second_factors AS f (user_id, secret) VALUES (:user, :secret)"
            " ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0"
            " WHERE f.confirmed_at IS NULL"
        ),
        {"user": user_id, "secret": sealed},
    )
    return kept.rowcount == 1


async def find_second_factor(connection: Connection, user_id: uuid.UUID) -> SecondFactor | None:
    """The user's second factor, in a transaction of their own."""
    found = await connection.execute(
        select(second_factors.c.secret, second_factors.c.confirmed_at).where(
            second_factors.c.user_id == user_id
        )
    )
    row = found.mappings().one_or_none()
    return None if row is None else SecondFactor(**row)


async def has_second_factor(connection: Connection, user_id: uuid.UUID) -> bool:
    """Whether one is asked for when the user signs in."""
    factor = await find_second_factor(connection, user_id)
    return factor is not None and factor.confirmed_at is not None


async def use_step(connection: Connection, user_id: uuid.UUID, step: int) -> bool:
    """Uses up a step and all before it; False when it was used up already."""
    used = await connection.execute(
        update(second_factors)
        .where(second_factors.c.user_id == user_id, second_factors.c.last_step < step)
        .values(last_step=step)
    )
    return used.rowcount == 1


async def confirm_second_factor(connection: Connection, user_id: uuid.UUID, codes: Sequence[str]) -> bool:
    """From now on it is asked for; these are the user's recovery codes. False when it was already."""
    confirmed = await connection.execute(
        update(second_factors)
        .where(second_factors.c.user_id == user_id, second_factors.c.confirmed_at.is_(None))
        .values(confirmed_at=func.now())
    )
    if confirmed.rowcount != 1:
        return False
    await connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": _code_hash(user_id, code)} for code in codes]
    await connection.execute(insert(recovery_codes), rows)
    return True


async def use_recovery_code(connection: Connection, user_id: uuid.UUID, code: str) -> bool:
    """Whether this is one of the user's codes that was not used yet; it is used up."""
    used = await connection.execute(
        update(recovery_codes)
        .where(
            recovery_codes.c.user_id == user_id,
            recovery_codes.c.code_hash == _code_hash(user_id, code),
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=func.now())
    )
    return used.rowcount == 1


async def count_recovery_codes(connection: Connection, user_id: uuid.UUID) -> int:
    """How many of the user's codes are still good."""
    found = await connection.execute(
        select(func.count()).where(recovery_codes.c.user_id == user_id, recovery_codes.c.used_at.is_(None))
    )
    return int(found.scalar_one())


async def remove_second_factor(connection: Connection, user_id: uuid.UUID) -> None:
    """Takes a user's second factor away, with its recovery codes."""
    for table in (recovery_codes, second_factors):
        await connection.execute(delete(table).where(table.c.user_id == user_id))


def _code_hash(user_id: uuid.UUID, code: str) -> bytes:
    return hash_secret(f"{user_id}:{code}")
