"""Commands in PostgreSQL, for those who ask for something: stored, looked at, cancelled.

Keeps true that a command is stored once for a key, with its line in the audit log, and in the order in which
a device's commands were stored.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, and_, select, text

from kilowatch.accounts.store.audit import NewLine, record_lines
from kilowatch.control.command import Command, NewCommand
from kilowatch.control.lifecycle import Status, step
from kilowatch.control.store.turns import COLUMNS, end_commands, lock_devices, pass_turns
from kilowatch.control.tables import commands
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.sites.store import get_device
from kilowatch.sites.tables import devices

NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a command that was to be stored. earlier: it is there already, under the same key."""

    command: Command
    earlier: bool = False


INSERT = text(f"""
    INSERT INTO kilowatch.commands AS c (
        organisation_id, id, device_no, name, arguments, idempotency_key, actor, user_id, created_at,
        expires_at
    )
    SELECT :organisation_id, n.id, d.device_no, n.name, n.arguments, n.idempotency_key, n.actor, n.user_id,
        n.created_at, n.expires_at
    FROM jsonb_to_recordset(CAST(:given AS jsonb)) AS n (
        place integer, id uuid, device text, name text, arguments jsonb, idempotency_key text, actor text,
        user_id uuid, created_at timestamptz, expires_at timestamptz
    )
    JOIN kilowatch.devices d ON d.organisation_id = :organisation_id AND d.id = n.device
    ORDER BY n.place
    ON CONFLICT (organisation_id, device_no, idempotency_key) DO NOTHING
    RETURNING {COLUMNS.replace("d.id AS device", "'' AS device")}
""")  # noqa: S608 - our own words


async def create_commands(
    connection: Connection, organisation_id: uuid.UUID, given: Sequence[NewCommand], lines: Sequence[NewLine]
) -> list[Stored | Problem]:
    """Stores commands, in the order given, with their lines of the audit log; any number for any devices.
    Each is answered for itself: 404 where there is no such device, 409 `idempotency_key_reused` where the
    device has another command under the key."""
    numbers = await _lock_named(connection, organisation_id, [one.device for one in given])
    ids = {device_no: device for device, device_no in numbers.items()}
    rows = [_row(place, one) for place, one in enumerate(given) if one.device in numbers]
    if not rows:
        return [_no_device(one.device) for one in given]
    document = msgspec.json.encode(rows).decode()
    made = await connection.execute(INSERT, {"organisation_id": organisation_id, "given": document})
    stored = {row["id"]: Command(**{**row, "device": ids[row["device_no"]]}) for row in made.mappings()}
    await pass_turns(connection, list(ids), min(one.created_at for one in given))
    answers: list[Stored | Problem] = []
    for one in given:
        if one.id in stored:
            answers.append(Stored(stored[one.id]))
        elif one.device not in numbers:
            answers.append(_no_device(one.device))
        else:
            answers.append(await _find_earlier(connection, numbers[one.device], one))
    written = [line for one, line in zip(given, lines, strict=True) if one.id in stored]
    await record_lines(connection, written)
    return answers


async def cancel_command(connection: Connection, command_id: uuid.UUID, now: datetime) -> Command:
    """Ends a command that was not sent yet.

    Raises:
        Problem: 404; 409 `command_begun` or `command_ended`.
    """
    found = await get_command(connection, command_id)
    await lock_devices(connection, [found.device_no])
    ended = await end_commands(connection, "cancel", now, "c.id = :command", {"command": command_id})
    if not ended:
        step((await get_command(connection, command_id)).status, "cancel")
        raise _no_command(command_id)
    await pass_turns(connection, [found.device_no], now)
    return ended[0]


async def get_command(connection: Connection, command_id: uuid.UUID) -> Command:
    """The command of this id.

    Raises:
        Problem: 404.
    """
    row = (await connection.execute(_query().where(commands.c.id == command_id))).mappings().one_or_none()
    if row is None:
        raise _no_command(command_id)
    return Command(**row)


async def list_commands(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    *,
    status: Status | None = None,
    device: str | None = None,
) -> Page[Command]:
    """The commands that the transaction sees, newest first.

    Raises:
        Problem: 404 where `device` is not there.
    """
    query = _query().order_by(commands.c.no.desc()).limit(check_limit(limit) + 1)
    if device is not None:
        query = query.where(commands.c.device_no == (await get_device(connection, device)).device_no)
    if status is not None:
        query = query.where(commands.c.status == status)
    if cursor is not None:
        (last,) = read_cursor(cursor, tuple[int])
        if not 0 <= last <= NUMBER_MAX:
            raise Problem(400, "bad_cursor", "cursor is not one that this list gave; start without it.")
        query = query.where(commands.c.no < last)
    found = [Command(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda command: [command.no])


async def _lock_named(
    connection: Connection, organisation_id: uuid.UUID, ids: Sequence[str]
) -> dict[str, int]:
    """Id -> number of those devices that exist, all locked; always in one order, so that nobody waits for
    somebody who waits for them."""
    found = await connection.execute(
        text(
            "SELECT id, device_no FROM kilowatch.devices WHERE organisation_id = :organisation_id"
            " AND id = ANY(CAST(:ids AS text[])) ORDER BY device_no FOR NO KEY UPDATE"
        ),
        {"organisation_id": organisation_id, "ids": list(set(ids))},
    )
    return {row.id: row.device_no for row in found}


async def _find_earlier(connection: Connection, device_no: int, given: NewCommand) -> Stored | Problem:
    """The command under the key of one that was not stored for it."""
    query = _query().where(
        commands.c.device_no == device_no, commands.c.idempotency_key == given.idempotency_key
    )
    found = Command(**(await connection.execute(query)).mappings().one())
    lasts_s = (found.expires_at - found.created_at).total_seconds()
    if (found.name, found.arguments, lasts_s) == (given.name, given.arguments, given.expires_in_s):
        return Stored(found, earlier=True)
    detail = f"Idempotency-Key {given.idempotency_key!r} was used for another command to this device."
    return Problem(409, "idempotency_key_reused", detail)


def _query() -> Select[Any]:
    same = and_(
        devices.c.organisation_id == commands.c.organisation_id, devices.c.device_no == commands.c.device_no
    )
    left = ("idempotency_key", "next_try_at")
    columns = [column for column in commands.c if column.name not in left]
    return select(*columns, devices.c.id.label("device")).join(devices, same)


def _row(place: int, one: NewCommand) -> dict[str, Any]:
    return {
        "place": place,
        "id": one.id,
        "device": one.device,
        "name": one.name,
        "arguments": one.arguments,
        "idempotency_key": one.idempotency_key,
        "actor": one.actor,
        "user_id": one.user_id,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
    }


def _no_command(command_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no command {command_id}.")


def _no_device(device_id: str) -> Problem:
    return Problem(404, "not_found", f"There is no device {device_id[:80]!r}.")
