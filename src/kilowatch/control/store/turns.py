"""Turns: which command of a device is to be sent, and how a turn is passed on when a command ends.

Keeps true that a device has at most one command whose turn it is (`next_try_at`), the oldest of those that
have not ended. Whoever adds a command or ends one holds the device's row until the transaction ends, and
passes the turn on before. Statuses change only as `lifecycle.STEPS` says.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from kilowatch.control.command import Command
from kilowatch.control.lifecycle import STEPS, Act, Status
from kilowatch.control.tables import LIVING
from kilowatch.postgres.engine import Connection

COLUMNS = (
    "c.organisation_id, c.id, c.no, c.device_no, d.id AS device, c.name, c.arguments, c.status, c.detail,"
    " c.actor, c.user_id, c.created_at, c.expires_at, c.ended_at, c.tries"
)
OF_DEVICE = "d.organisation_id = c.organisation_id AND d.device_no = c.device_no"

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


async def lock_devices(connection: Connection, numbers: Sequence[int]) -> None:
    """Holds devices, always in one order, so that nobody waits for somebody who waits for them."""
    await connection.execute(
        text(
            "SELECT device_no FROM kilowatch.devices WHERE device_no = ANY(CAST(:devices AS integer[]))"
            " ORDER BY device_no FOR NO KEY UPDATE"
        ),
        {"devices": list(numbers)},
    )


async def pass_turns(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """Gives the turn to the oldest living command of each of these devices, which are locked."""
    await connection.execute(PASS_ON, {"devices": list(numbers), "now": now})


async def end_commands(
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
    sources = before(act)
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


def before(act: Act) -> list[Status]:
    """The statuses from which an act leads on."""
    return [status for status, acted in STEPS if acted == act]
