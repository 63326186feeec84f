"""Sessions and their refresh tokens in PostgreSQL.

Keeps true: a refresh token works once; tokens are kept as hashes.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, text, update

from kilowatch.accounts.tables import (
    refresh_tokens,
    sessions,
    users,
)
from kilowatch.ids import hash_secret
from kilowatch.postgres.engine import Connection


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A refresh token that somebody showed: whose it is, whether it was used, and how its session is."""

    user_id: uuid.UUID
    session_id: uuid.UUID
    used_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None


async def start_session(
    connection: Connection, user_id: uuid.UUID, session_id: uuid.UUID, days: int, token: str
) -> None:
    """A new session with its first refresh token."""
    await connection.execute(
        text(
            "INSERT INTO kilowatch.sessions (id, user_id, expires_at)"
            " VALUES (:id, :user, now() + make_interval(days => :days))"
        ),
        {"id": session_id, "user": user_id, "days": days},
    )
    await add_refresh_token(connection, user_id, session_id, token)


async def add_refresh_token(
    connection: Connection, user_id: uuid.UUID, session_id: uuid.UUID, token: str
) -> None:
    """A further refresh token of a session."""
    await connection.execute(
        insert(refresh_tokens).values(token_hash=hash_secret(token), user_id=user_id, session_id=session_id)
    )


async def find_refresh_token(connection: Connection, token: str) -> ShownToken | None:
    """What is known of a refresh token; works in an unscoped transaction of any role."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_refresh_token(:hash)"), {"hash": hash_secret(token)}
    )
    row = found.mappings().one_or_none()
    return None if row is None else ShownToken(**row)


async def use_refresh_token(connection: Connection, token: str) -> bool:
    """Marks a token as used; False when it was already, perhaps this very moment by somebody else."""
    used = await connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.token_hash == hash_secret(token), refresh_tokens.c.used_at.is_(None))
        .values(used_at=func.now())
    )
    return used.rowcount == 1


async def end_sessions(
    connection: Connection, user_id: uuid.UUID, only: uuid.UUID | None = None, but: uuid.UUID | None = None
) -> None:
    """Ends a user's sessions: all, `only` one, or all `but` one."""
    ended = update(sessions).where(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None))
    if only is not None:
        ended = ended.where(sessions.c.id == only)
    if but is not None:
        ended = ended.where(sessions.c.id != but)
    await connection.execute(ended.values(ended_at=func.now()))


async def is_session_open(connection: Connection, session_id: uuid.UUID) -> bool:
    """Whether a session of the user that the transaction names goes on; of a disabled user none does."""
    found = await connection.execute(
        select(sessions.c.id)
        .join(users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.id == session_id,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > func.now(),
            users.c.disabled_at.is_(None),
        )
    )
    return found.one_or_none() is not None
