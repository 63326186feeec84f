"""Commands in PostgreSQL: stored, sent in order, answered, expired, cancelled.

Keeps true that a device has at most one command whose turn it is (`next_try_at`), the oldest of those that
have not ended. Whoever adds a command or ends one holds the device's row until the transaction ends, and
passes the turn on before. Statuses change only as `lifecycle.STEPS` says.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, and_, select, text

from kilowatch.accounts.store.audit import NewLine, record_lines
from kilowatch.control.command import RETRY_FIRST_S, RETRY_MAX_S, Answer, Command, NewCommand
from kilowatch.control.lifecycle import STEPS, Act, Status, step
from kilowatch.control.tables import LIVING, commands
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.sites.store import get_device
from kilowatch.sites.tables import devices

COLUMNS = (
    "c.organisation_id, c.id, c.no, c.device_no, d.id AS device, c.name, c.arguments, c.status, c.detail,"
    " c.actor, c.user_id, c.created_at, c.expires_at, c.ended_at, c.tries"
)
OF_DEVICE = "d.organisation_id = c.organisation_id AND d.device_no = c.device_no"
NUMBER_MAX = 2**63 - 1
OUTCOMES: tuple[Act, ...] = ("succeed", "fail")


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a command that was to be stored. earlier: it is there already, under the same key."""

    command: Command
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Switched:
    """A device that has been switched by a command."""

    organisation_id: uuid.UUID
    device_no: int
    device: str
    state: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What `settle` ended. unmatched: answers that changed nothing; more: whether others wait to expire."""

    ended: list[Command]
    switched: list[Switched]
    unmatched: int
    more: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command to be sent now. organisation: slug."""

    organisation: str
    command: Command


# --- those who ask for something -----------------------------------------------------------------------

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

# A turn is given to the oldest that lives; it has it already where somebody else ended or began.
PASS_ON = text(f"""
    UPDATE kilowatch.commands c SET next_try_at = :now
    FROM (
        SELECT (
            SELECT o.id FROM kilowatch.commands o
            WHERE o.device_no = given.device_no AND o.{LIVING} ORDER BY o.no LIMIT 1
        ) AS id
        FROM unnest(CAST(:devices AS integer[])) AS given (device_no)
    ) head
    WHERE c.id = head.id AND c.next_try_at IS NULL
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
    await _pass_on(connection, list(ids), min(one.created_at for one in given))
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
    await _lock(connection, [found.device_no])
    ended = await _end(connection, "cancel", now, "c.id = :command", {"command": command_id})
    if not ended:
        step((await get_command(connection, command_id)).status, "cancel")
        raise _no_command(command_id)
    await _pass_on(connection, [found.device_no], now)
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


# --- the one who sends ---------------------------------------------------------------------------------

MATCH = text("""
    SELECT c.id, c.device_no
    FROM unnest(CAST(:slugs AS text[]), CAST(:devices AS text[]), CAST(:ids AS uuid[]))
        AS a (slug, device, id)
    JOIN kilowatch.organisations o ON o.slug = a.slug
    JOIN kilowatch.devices d ON d.organisation_id = o.id AND d.id = a.device
    JOIN kilowatch.commands c ON c.organisation_id = o.id AND c.device_no = d.device_no AND c.id = a.id
""")

EXPIRING = text(f"""
    SELECT c.device_no FROM kilowatch.commands c WHERE c.{LIVING} AND c.expires_at <= :now
    ORDER BY c.expires_at LIMIT :most
""")  # noqa: S608 - our own words

SWITCH = text("""
    UPDATE kilowatch.devices d
    SET state = coalesce(c.arguments ->> 'state', CASE d.state WHEN 'on' THEN 'off' ELSE 'on' END)
    FROM kilowatch.commands c
    WHERE c.id = ANY(CAST(:ids AS uuid[])) AND c.status = 'succeeded' AND c.name IN ('set_state', 'toggle')
        AND d.organisation_id = c.organisation_id AND d.device_no = c.device_no
    RETURNING d.organisation_id, d.device_no, d.id AS device, d.state
""")

DELIVER = text(f"""
    UPDATE kilowatch.commands c
    SET status = 'processing', tries = c.tries + 1, next_try_at = CAST(:now AS timestamptz)
        + make_interval(secs => least(:first_s * power(2, least(c.tries, 20)), :last_s))
    FROM kilowatch.devices d
    JOIN kilowatch.organisations o ON o.id = d.organisation_id
    WHERE c.id IN (
        SELECT due.id FROM kilowatch.commands due WHERE due.next_try_at <= :now
        ORDER BY due.next_try_at, due.no LIMIT :most
    ) AND c.status = ANY(:from_statuses) AND c.next_try_at <= :now AND c.expires_at > :now AND {OF_DEVICE}
    RETURNING o.slug, {COLUMNS}
""")  # noqa: S608 - our own words


async def settle(connection: Connection, answers: Sequence[Answer], now: datetime, most: int) -> Settled:
    """Takes what devices answered, each for a command of its own that was sent to it, and then ends what has
    expired, for at most so many. An answer to anything else changes nothing."""
    matched = await _match(connection, answers)
    expiring = list((await connection.execute(EXPIRING, {"now": now, "most": most})).scalars())
    if not matched and not expiring:
        return Settled([], [], len(answers), more=False)
    concerned = sorted({*matched.values(), *expiring})
    await _lock(connection, concerned)
    said: dict[uuid.UUID, Answer] = {}
    for answer in answers:
        if answer.id in matched:
            said.setdefault(answer.id, answer)
    ended: list[Command] = []
    for act in OUTCOMES:
        chosen = [one for one in said.values() if one.ok == (act == "succeed")]
        if chosen:
            ended += await _end_answered(connection, act, chosen, now)
    answered = len(ended)
    switched = await connection.execute(SWITCH, {"ids": [str(one.id) for one in ended]}) if ended else None
    if expiring:
        where = "c.device_no = ANY(CAST(:devices AS integer[])) AND c.expires_at <= :now"
        ended += await _end(connection, "expire", now, where, {"devices": expiring})
    await _pass_on(connection, concerned, now)
    return Settled(
        ended,
        [] if switched is None else [Switched(**row) for row in switched.mappings()],
        len(answers) - answered,
        more=len(expiring) == most,
    )


async def deliver(connection: Connection, now: datetime, most: int) -> list[Delivery]:
    """The commands that are to be sent now, at most so many, each the oldest of its device; they are noted as
    sent, and come again after a pause that doubles each time."""
    given = {
        "now": now,
        "most": most,
        "first_s": RETRY_FIRST_S,
        "last_s": RETRY_MAX_S,
        "from_statuses": _before("deliver"),
    }
    found = (await connection.execute(DELIVER, given)).mappings()
    return [
        Delivery(row["slug"], Command(**{name: value for name, value in row.items() if name != "slug"}))
        for row in found
    ]


async def next_due(connection: Connection) -> datetime | None:
    """When the next command is to be sent or expires; None when none lives."""
    found = await connection.execute(
        text(
            "SELECT least((SELECT min(next_try_at) FROM kilowatch.commands WHERE next_try_at IS NOT NULL),"  # noqa: S608
            f" (SELECT min(expires_at) FROM kilowatch.commands WHERE {LIVING}))"
        )
    )
    due: datetime | None = found.scalar_one()
    return due


# --- what both need ------------------------------------------------------------------------------------


async def _match(connection: Connection, answers: Sequence[Answer]) -> dict[uuid.UUID, int]:
    """Command -> device's number, where the answer's device is the command's."""
    if not answers:
        return {}
    given = {
        "slugs": [one.organisation for one in answers],
        "devices": [one.device for one in answers],
        "ids": [str(one.id) for one in answers],
    }
    return {row.id: row.device_no for row in await connection.execute(MATCH, given)}


async def _end_answered(
    connection: Connection, act: Act, answers: Sequence[Answer], now: datetime
) -> list[Command]:
    given = {"ids": [str(one.id) for one in answers], "details": [one.detail for one in answers]}
    return await _end(connection, act, now, "c.id = a.id", given, detail="a.detail", answered=True)


async def _end(
    connection: Connection,
    act: Act,
    now: datetime,
    where: str,
    given: dict[str, Any],
    *,
    detail: str = "c.detail",
    answered: bool = False,
) -> list[Command]:
    """Ends those that meet the condition and from whose status the act leads to an end."""
    sources = _before(act)
    ending = text(_ending(where, detail, answered=answered))
    parameters = {"now": now, "status": STEPS[sources[0], act], "from_statuses": sources, **given}
    return [Command(**row) for row in (await connection.execute(ending, parameters)).mappings()]


def _ending(where: str, detail: str, *, answered: bool) -> str:
    answers = ", unnest(CAST(:ids AS uuid[]), CAST(:details AS text[])) AS a (id, detail)" if answered else ""
    return (
        f"UPDATE kilowatch.commands c SET status = :status, ended_at = :now, next_try_at = NULL,"  # noqa: S608
        f" detail = {detail} FROM kilowatch.devices d{answers}"
        f" WHERE {where} AND c.status = ANY(:from_statuses) AND {OF_DEVICE} RETURNING {COLUMNS}"
    )


def _before(act: Act) -> list[Status]:
    """The statuses from which an act leads on."""
    return [status for status, acted in STEPS if acted == act]


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


async def _lock(connection: Connection, numbers: Sequence[int]) -> None:
    await connection.execute(
        text(
            "SELECT device_no FROM kilowatch.devices WHERE device_no = ANY(CAST(:devices AS integer[]))"
            " ORDER BY device_no FOR NO KEY UPDATE"
        ),
        {"devices": list(numbers)},
    )


async def _pass_on(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """Gives the turn to the oldest living command of each of these devices, which are locked."""
    await connection.execute(PASS_ON, {"devices": list(numbers), "now": now})


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
