"""Rules in PostgreSQL.

Keeps true: what stands there can be evaluated; `updated_at` moves with every change, by which whoever
evaluates rules finds what is new. Row-level security decides whose rows are seen.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, cast, func, insert, literal, select, text, tuple_, update

from kilowatch.errors import Fault, Problem
from kilowatch.ids import DEVICE_ID, new_id
from kilowatch.notifications.notice import KINDS_BY_WORD
from kilowatch.notifications.tables import notification_channels
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.rules.rule import ENERGY_INPUTS, TARGETS, Rule, rule_faults
from kilowatch.rules.tables import rules
from kilowatch.sites.tables import devices, sites
from kilowatch.telemetry.metric import CATALOGUE, ENERGY, PHASE
from kilowatch.telemetry.store import find_metrics

CHANGEABLE = frozenset(
    {"name", *TARGETS, "metric", "input", "operator", "threshold", "for_s", "clear_threshold"}
    | {"cooldown_s", "severity", "status", "channels"}
)
DEFAULTS: Mapping[str, Any] = dict.fromkeys(
    (*TARGETS, "metric", "operator", "threshold", "clear_threshold")
) | {
    "input": "value",
    "for_s": 0,
    "cooldown_s": 0,
    "severity": "medium",
    "status": "active",
    "channels": (),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A series that a rule looks at: of which device, in which time zone; what the metric is."""

    series_no: int
    device_no: int
    device: str
    time_zone: str
    kind: str
    unit: str


async def create_rule(connection: Connection, organisation_id: uuid.UUID, values: Mapping[str, Any]) -> Rule:
    """A new rule; fields that are not given are those of `DEFAULTS`.

    Raises:
        Problem: 422 with all that is wrong.
    """
    row = await check_rule(connection, organisation_id, {**DEFAULTS, **values})
    del row["device_id"]
    made = insert(rules).values(id=new_id(), organisation_id=organisation_id, **row).returning(rules.c.id)
    return await get_rule(connection, (await connection.execute(made)).scalar_one())


async def list_rules(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    device_id: str | None = None,
    **equal_to: Any,
) -> Page[Rule]:
    """Rules in the order of their making; without a `status` in `equal_to` those that are not archived."""
    query = _rules().order_by(rules.c.created_at, rules.c.id).limit(check_limit(limit) + 1)
    query = query.where(*(rules.c[name] == value for name, value in equal_to.items() if value is not None))
    if equal_to.get("status") is None:
        query = query.where(rules.c.status != "archived")
    if device_id is not None:
        query = query.where(devices.c.id == device_id)
    if cursor is not None:
        made_at, rule_id = read_cursor(cursor, tuple[datetime, uuid.UUID])
        query = query.where(
            tuple_(rules.c.created_at, rules.c.id) > tuple_(literal(made_at), literal(rule_id))
        )
    found = [_as_rule(row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda rule: (rule.created_at, rule.id))


async def get_rule(connection: Connection, rule_id: uuid.UUID) -> Rule:
    """The rule of this id.

    Raises:
        Problem: 404.
    """
    row = (await connection.execute(_rules().where(rules.c.id == rule_id))).mappings().one_or_none()
    if row is None:
        raise _no_rule(rule_id)
    return _as_rule(row)


async def update_rule(connection: Connection, rule_id: uuid.UUID, changes: Mapping[str, Any]) -> Rule:
    """Changes the given fields.

    Raises:
        Problem: 404, or 422 with all that is wrong.
    """
    locked = select(rules.c.organisation_id).where(rules.c.id == rule_id).with_for_update()
    organisation_id = (await connection.execute(locked)).scalar_one_or_none()
    if organisation_id is None:
        raise _no_rule(rule_id)
    rule = await get_rule(connection, rule_id)
    if not changes:
        return rule
    values = {**{name: getattr(rule, name) for name in CHANGEABLE}, **changes}
    row = await check_rule(connection, organisation_id, values, kept=rule.channels)
    del row["device_id"]
    changed = update(rules).where(rules.c.id == rule_id).values(updated_at=func.clock_timestamp(), **row)
    await connection.execute(changed)
    return await get_rule(connection, rule_id)


async def archive_rule(connection: Connection, rule_id: uuid.UUID) -> None:
    """Ends a rule; alerts of it still name it, and it can be made active again.

    Raises:
        Problem: 404.
    """
    changed = update(rules).where(rules.c.id == rule_id)
    values = {"status": "archived", "updated_at": func.clock_timestamp()}
    if (await connection.execute(changed.values(**values))).rowcount == 0:
        raise _no_rule(rule_id)


async def check_rule(
    connection: Connection,
    organisation_id: uuid.UUID,
    values: Mapping[str, Any],
    kept: Collection[str] = (),
) -> dict[str, Any]:
    """The fields of a rule as they are stored, `device_no` among them; all fields are given. Channels in
    `kept`, which stood in the rule before, may be those of others, whom one does not see.

    Raises:
        Problem: 422 with all that is wrong.
    """
    unknown = [
        Fault("unknown_field", f"{name} cannot be set.", pointer=f"/{name}")
        for name in values
        if name not in CHANGEABLE
    ]
    if unknown:
        raise Problem(422, "invalid", "The rule cannot be like this.", unknown)
    row = dict(values)
    if row["input"] in ENERGY_INPUTS and row["metric"] is None:
        row["metric"] = ENERGY
    faults = rule_faults(row)
    if not faults:
        faults, row["device_no"] = await _reference_faults(connection, organisation_id, row)
        faults += await _channel_faults(connection, organisation_id, row["channels"], kept)
    if faults:
        raise Problem(422, "invalid", "The rule cannot be like this; see `errors`.", faults)
    row["channels"] = list(dict.fromkeys(row["channels"]))
    return row


async def _reference_faults(
    connection: Connection, organisation_id: uuid.UUID, row: Mapping[str, Any]
) -> tuple[list[Fault], int | None]:
    """What is wrong with the things that a rule names, and its device's number."""
    faults = []
    device_no = None
    own = devices.c.organisation_id == organisation_id
    if (wanted := row["device_id"]) is not None:
        if DEVICE_ID.fullmatch(wanted):
            query = (
                select(devices.c.device_no)
                .where(own, devices.c.id == wanted)
                .with_for_update(key_share=True, read=True)
            )
            device_no = (await connection.execute(query)).scalar_one_or_none()
        if device_no is None:
            detail = f"There is no device {wanted[:80]!r}."
            faults.append(Fault("unknown_device", detail, pointer="/device_id"))
    if row["site_id"] is not None:
        query = select(sites.c.id).where(
            sites.c.organisation_id == organisation_id, sites.c.id == row["site_id"]
        )
        if (await connection.execute(query.with_for_update(key_share=True, read=True))).one_or_none() is None:
            detail = f"There is no site {row['site_id']}."
            faults.append(Fault("unknown_site", detail, pointer="/site_id"))
    metric = row["metric"]
    if not _is_catalogued(metric) and not await find_metrics(connection, organisation_id, [metric]):
        detail = f"No device reports {metric!r}; define the metric first if one shall."
        faults.append(Fault("unknown_metric", detail, pointer="/metric"))
    return faults, device_no


async def _channel_faults(
    connection: Connection,
    organisation_id: uuid.UUID,
    named: Sequence[str],
    kept: Collection[str],
) -> list[Fault]:
    """Names of channels that are neither the organisation's nor those of who asks."""
    fresh = [channel_id for channel_id in named if channel_id not in kept]
    if not fresh:
        return []
    columns = notification_channels.c
    query = select(cast(columns.id, Text), columns.name, columns.kind).where(
        columns.organisation_id == organisation_id
    )
    known = {word for row in await connection.execute(query) for word in row} | set(KINDS_BY_WORD)
    words = ", ".join(KINDS_BY_WORD)
    return [
        Fault(
            "unknown_channel",
            f"You see no notification channel {one[:80]!r}. Name one by its id, its name or how its address"
            f" begins, or say {words}.",
            pointer="/channels",
        )
        for one in fresh
        if one not in known
    ]


def _is_catalogued(metric: str | None) -> bool:
    """Whether a metric is known without asking; none and the energy that is made here are."""
    if metric is None or metric == ENERGY or metric in CATALOGUE:
        return True
    phase = PHASE.fullmatch(metric)
    return phase is not None and phase[1] in CATALOGUE


# The series that a rule looks at. Energy is made from each device's own source; silence of a device as a
# whole is in all of its series.
WATCHED = text("""
    SELECT s.series_no, d.device_no, d.id AS device, site.time_zone, m.kind, m.unit
    FROM kilowatch.devices d
    JOIN kilowatch.sites site ON site.id = d.site_id
    JOIN kilowatch.series s ON s.device_no = d.device_no
    JOIN kilowatch.metrics m ON m.metric_no = s.metric_no
    WHERE d.organisation_id = :organisation_id AND m.name <> :energy
        AND (CAST(:device_no AS integer) IS NULL OR d.device_no = :device_no)
        AND (CAST(:site_id AS uuid) IS NULL OR d.site_id = :site_id)
        AND (CAST(:device_type AS text) IS NULL OR d.type = :device_type)
        AND CASE WHEN CAST(:metric AS text) = :energy THEN s.metric_no = d.energy_metric_no
            ELSE CAST(:metric AS text) IS NULL OR m.name = :metric END
    ORDER BY s.series_no
    LIMIT :most
""")


async def list_watched(
    connection: Connection, organisation_id: uuid.UUID, row: Mapping[str, Any], most: int
) -> list[Watched]:
    """The series that a rule of these fields looks at, by number; at most so many."""
    named = {name: row[name] for name in ("device_no", "site_id", "device_type", "metric")}
    given = {**named, "organisation_id": organisation_id, "energy": ENERGY, "most": most}
    return [Watched(**one) for one in (await connection.execute(WATCHED, given)).mappings()]


def _rules() -> Select[Any]:
    of_device = devices.c.device_no == rules.c.device_no
    return select(rules, devices.c.id.label("device_id")).select_from(rules.outerjoin(devices, of_device))


def _as_rule(row: Mapping[str, Any]) -> Rule:
    return Rule(**{**row, "channels": tuple(row["channels"])})


def _no_rule(rule_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no rule {rule_id}.")
