"""Commands in PostgreSQL, for the one who sends them: what is due, what was answered, what has expired.

Keeps true that an answer ends only a command of the device that gave it, and only one that was sent; and that
a device's state changes with its word and not before.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from kilowatch.control.command import RETRY_FIRST_S, RETRY_MAX_S, Answer, Command
from kilowatch.control.lifecycle import Act
from kilowatch.control.store.turns import COLUMNS, OF_DEVICE, before, end_commands, lock_devices, pass_turns
from kilowatch.control.tables import LIVING
from kilowatch.postgres.engine import Connection

OUTCOMES: tuple[Act, ...] = ("succeed", "fail")


@dataclass(frozen=True, slots=True)
class Switched:
    """A device that has been switched by a command."""

    organisation_id: uuid.UUID
    device_no: int
    device: str
    state: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What `settle` ended. late: answers to what had ended before, repeats among them; unknown: answers to
    no command that was the device's own; more: whether others wait to expire."""

    ended: list[Command]
    switched: list[Switched]
    late: int
    unknown: int
    more: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command to be sent now. organisation: slug."""

    organisation: str
    command: Command


MATCH = text("""
    SELECT a.place, c.device_no
    FROM unnest(CAST(:slugs AS text[]), CAST(:devices AS text[]), CAST(:ids AS uuid[])) WITH ORDINALITY
        AS a (slug, device, id, place)
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
    own, numbers = await _match(connection, answers)
    expiring = list((await connection.execute(EXPIRING, {"now": now, "most": most})).scalars())
    if not own and not expiring:
        return Settled([], [], 0, len(answers), more=False)
    concerned = sorted({*numbers, *expiring})
    await lock_devices(connection, concerned)
    said: dict[uuid.UUID, Answer] = {}
    for answer in own:
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
        ended += await end_commands(connection, "expire", now, where, {"devices": expiring})
    await pass_turns(connection, concerned, now)
    return Settled(
        ended,
        [] if switched is None else [Switched(**row) for row in switched.mappings()],
        len(own) - answered,
        len(answers) - len(own),
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
        "from_statuses": before("deliver"),
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


async def forget_commands(connection: Connection, before: datetime, most: int) -> int:
    """Deletes commands that ended before this moment, at most so many, and returns how many they were."""
    gone = await connection.execute(
        text(
            "DELETE FROM kilowatch.commands WHERE id IN (SELECT id FROM kilowatch.commands"
            " WHERE ended_at < :before ORDER BY ended_at LIMIT :most)"
        ),
        {"before": before, "most": most},
    )
    return gone.rowcount


async def _match(connection: Connection, answers: Sequence[Answer]) -> tuple[list[Answer], set[int]]:
    """The answers whose device is their command's, in their order, and the numbers of these devices."""
    if not answers:
        return [], set()
    given = {
        "slugs": [one.organisation for one in answers],
        "devices": [one.device for one in answers],
        "ids": [str(one.id) for one in answers],
    }
    numbers = {row.place: row.device_no for row in await connection.execute(MATCH, given)}
    return [answers[place - 1] for place in sorted(numbers)], set(numbers.values())


async def _end_answered(
    connection: Connection, act: Act, answers: Sequence[Answer], now: datetime
) -> list[Command]:
    given = {"ids": [str(one.id) for one in answers], "details": [one.detail for one in answers]}
    return await end_commands(connection, act, now, "c.id = a.id", given, detail="a.detail", answered=True)
