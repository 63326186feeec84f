"""The audit log in PostgreSQL: who did what, when and from where.

Keeps true: a line is written in the transaction of what it tells, so neither stands without the other; nobody
but the owner of the tables can change or remove one. Secrets never come here.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, select

from kilowatch.accounts.tables import audit_log
from kilowatch.observe.request import ORIGIN
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

TEXT_MAX = 254
NewLine = dict[str, Any]
"""A line to be written, by column; `new_line` makes it."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Something that somebody did. actor: `user:<id>`, `key:<number>`, `operator` (the command line) or
    `nobody`; action: `<thing>.<what happened>`; subject: the thing's id; address: of the request's sender."""

    no: int
    organisation_id: uuid.UUID | None
    user_id: uuid.UUID | None
    at: datetime
    actor: str
    action: str
    subject: str | None
    detail: dict[str, Any]
    address: str | None
    request_id: str | None


class Actor(Protocol):
    """Who does something in an organisation; a `Caller` is one."""

    @property
    def actor(self) -> str:
        """Their name in the log."""

    @property
    def organisation_id(self) -> uuid.UUID:
        """Where they do it."""

    @property
    def user_id(self) -> uuid.UUID | None:
        """The person, if it is one."""


async def record_by(
    connection: Connection, by: Actor, action: str, subject: object = None, **detail: Any
) -> None:
    """Writes what somebody did in their organisation; see `record`."""
    await record(
        connection,
        action,
        actor=by.actor,
        organisation_id=by.organisation_id,
        user_id=by.user_id,
        subject=subject,
        detail=detail,
    )


async def record(
    connection: Connection,
    action: str,
    *,
    actor: str,
    organisation_id: uuid.UUID | None = None,
    user_id: uuid.UUID | None = None,
    subject: object = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Writes a line, in the transaction of what it tells. With an organisation it is told there; without, to
    `user_id` and to the organisations whose member they are. Sender and request are those of the task."""
    line = new_line(
        action, actor=actor, organisation_id=organisation_id, user_id=user_id, subject=subject, detail=detail
    )
    await record_lines(connection, [line])


def new_line(
    action: str,
    *,
    actor: str,
    organisation_id: uuid.UUID | None = None,
    user_id: uuid.UUID | None = None,
    subject: object = None,
    detail: Mapping[str, Any] | None = None,
) -> NewLine:
    """A line for `record_lines`, with sender and request of the task that calls this."""
    origin = ORIGIN.get()
    return {
        "organisation_id": organisation_id,
        "user_id": user_id,
        "actor": actor,
        "action": action,
        "subject": None if subject is None else str(subject)[:TEXT_MAX],
        "detail": dict(detail or {}),
        "address": origin.address,
        "request_id": origin.request_id,
    }


async def record_lines(connection: Connection, lines: Sequence[NewLine]) -> None:
    """Writes lines of one or of several requests, in the transaction of what they tell."""
    # Inline: a line that its writer may not read (nobody's, of no organisation) cannot be returned.
    if lines:
        await connection.execute(insert(audit_log).inline(), list(lines))


async def has_signed_in(connection: Connection, user_id: uuid.UUID, address: str) -> bool:
    """Whether the user has signed in from this address before, or set a new password by mail."""
    found = await connection.execute(
        select(audit_log.c.no)
        .where(
            audit_log.c.user_id == user_id,
            audit_log.c.action.in_(("login.succeeded", "password.reset")),
            audit_log.c.address == address,
        )
        .limit(1)
    )
    return found.one_or_none() is not None


async def list_audit_log(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    *,
    action: str | None = None,
    user_id: uuid.UUID | None = None,
) -> Page[AuditLine]:
    """The lines that the transaction sees, newest first; `action` may be a whole one or what stands before
    the point."""
    query = select(audit_log).order_by(audit_log.c.no.desc()).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(audit_log.c.no < read_cursor(cursor, int))
    if action is not None:
        whole = "." in action
        query = query.where(
            audit_log.c.action == action
            if whole
            else audit_log.c.action.startswith(action + ".", autoescape=True)
        )
    if user_id is not None:
        query = query.where(audit_log.c.user_id == user_id)
    lines = [AuditLine(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(lines, limit, lambda line: line.no)
