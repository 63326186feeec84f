"""Findings become alerts, clearings end them, and what suppresses them is looked after: for the worker, over
all organisations, in a few statements for any number.

Keeps true: a key has at most one living alert; the same finding or clearing twice, or one that is older than
what is known, changes nothing; what somebody resolved by hand stays resolved while the same breach lasts.
Rows are locked in the order of their keys, so that two workers never wait for each other.
"""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.voices import SEVERITIES
from kilowatch.clock import MICROSECONDS, to_datetime, to_us
from kilowatch.postgres.engine import Connection, join_by_hash

SETTLING_US = 120 * MICROSECONDS
"""So long after its parent is over a suppressed alert waits: what the parent explained is over soon, too."""
DISMISSED_US = 30 * 86_400 * MICROSECONDS
"""So long what somebody resolved by hand is known to last after a restart of the worker."""

LOOKED_UP_SINGLY = 1_000
"""Of more findings than these whole tables are joined, rather than each looked up among all others."""
GIVEN = """
    WITH given AS (
        SELECT DISTINCT ON (key) * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:keys AS uuid[]), CAST(:organisations AS uuid[]),
            CAST(:kinds AS text[]),
            CAST(:rules AS uuid[]), CAST(:devices AS integer[]), CAST(:sites AS uuid[]),
            CAST(:severities AS text[]), CAST(:since AS timestamptz[]), CAST(:ts AS timestamptz[]),
            CAST(:metrics AS text[]), CAST(:values AS float8[]), CAST(:limits AS float8[]),
            CAST(:excess AS float8[]), CAST(:counts AS integer[])
        ) AS g (id, key, organisation_id, kind, rule_id, device_no, site_id, severity, since, ts, metric,
            value, limit_value, excess_w, devices)
        ORDER BY key, ts DESC, since DESC
    ), placed AS (
        SELECT g.*, s.id AS at_site, s.currency,
            CASE WHEN g.excess_w > 0 THEN round(
                CAST(g.excess_w AS numeric) * 24 / 1000
                    * coalesce(s.price_per_kwh, CAST(:price AS numeric)), 6
            ) END AS cost_per_day
        FROM given g
        LEFT JOIN kilowatch.devices d
            ON d.organisation_id = g.organisation_id AND d.device_no = g.device_no
        JOIN kilowatch.sites s ON s.organisation_id = g.organisation_id
            AND s.id = CASE WHEN g.device_no IS NULL THEN g.site_id ELSE d.site_id END
    )
"""

# Of a device that is being deleted nothing is told any more: the lock on its row is waited for.
RAISE = text(
    GIVEN  # noqa: S608 - only our own words
    + """, there AS MATERIALIZED (
        SELECT d.device_no FROM kilowatch.devices d
        WHERE d.device_no IN (SELECT device_no FROM placed) ORDER BY d.device_no FOR KEY SHARE
    )
    INSERT INTO kilowatch.alerts (id, organisation_id, key, kind, rule_id, device_no, site_id, severity,
        since, raised_at, ts, metric, value, limit_value, excess_w, cost_per_day, currency, devices, status,
        suppressed_by, suppressed_until)
    SELECT p.id, p.organisation_id, p.key, p.kind, p.rule_id, p.device_no, p.at_site, p.severity, p.since,
        CAST(:now AS timestamptz), p.ts, p.metric, p.value, p.limit_value, p.excess_w, p.cost_per_day,
        p.currency, p.devices, CASE WHEN w.id IS NULL THEN 'open' ELSE 'suppressed' END,
        'window:' || CAST(w.id AS text), w.ends_at
    FROM placed p
    LEFT JOIN LATERAL (
        SELECT w.id, w.ends_at FROM kilowatch.maintenance_windows w
        WHERE w.organisation_id = p.organisation_id AND w.starts_at <= :now AND w.ends_at > :now
            AND (w.device_no IS NULL OR w.device_no = p.device_no)
            AND (w.site_id IS NULL OR w.site_id = p.at_site)
            AND (w.kind IS NULL OR w.kind = p.kind)
            AND (w.rule_id IS NULL OR w.rule_id = p.rule_id)
        ORDER BY w.ends_at DESC LIMIT 1
    ) w ON true
    WHERE (p.device_no IS NULL OR p.device_no IN (SELECT device_no FROM there))
        AND NOT EXISTS (
            SELECT FROM kilowatch.alerts r WHERE r.organisation_id = p.organisation_id AND r.key = p.key
                AND r.how = 'by_hand' AND p.since < r.resolved_at
        )
    ORDER BY p.key
    ON CONFLICT DO NOTHING
    RETURNING id
"""
)

# A finding that is not newer than what the living alert says was told before.
RENEW = text(
    GIVEN  # noqa: S608 - only our own words
    + """, living AS MATERIALIZED (
        SELECT a.id, a.severity FROM kilowatch.alerts a JOIN placed p ON p.key = a.key
        WHERE a.status <> 'resolved' AND p.ts > a.ts AND NOT a.id = ANY(CAST(:opened AS uuid[]))
        ORDER BY a.key FOR UPDATE OF a
    )
    UPDATE kilowatch.alerts a SET severity = p.severity, ts = p.ts, value = p.value, metric = p.metric,
        limit_value = p.limit_value, excess_w = p.excess_w, cost_per_day = p.cost_per_day,
        currency = p.currency, devices = p.devices
    FROM placed p, living l
    WHERE a.key = p.key AND a.id = l.id AND a.status <> 'resolved'
    RETURNING a.id, l.severity AS was, a.severity AS is_now
"""
)

# The silence of a gateway or site explains that of its children, whichever was told first; what is raised
# while it lasts is suppressed whatever its kind.
BY_PARENT = text("""
    WITH parent AS MATERIALIZED (
        SELECT a.id, a.organisation_id, a.device_no, a.site_id, g.device_no AS gateway_no,
            a.id = ANY(CAST(:opened AS uuid[])) AS is_new
        FROM kilowatch.alerts a
        LEFT JOIN kilowatch.devices d
            ON d.organisation_id = a.organisation_id AND d.device_no = a.device_no
        LEFT JOIN kilowatch.devices g
            ON g.organisation_id = d.organisation_id AND g.id = d.metadata ->> 'gateway'
        WHERE a.organisation_id = ANY(CAST(:organisations AS uuid[])) AND a.kind = 'offline'
            AND a.status <> 'resolved'
    ), child AS MATERIALIZED (
        SELECT a.id, a.organisation_id, d.site_id, d.device_no, g.device_no AS gateway_no,
            a.id = ANY(CAST(:opened AS uuid[])) AS is_new,
            a.kind IN ('offline', 'zero_consumption') AS is_silence
        FROM kilowatch.alerts a
        JOIN kilowatch.devices d ON d.organisation_id = a.organisation_id AND d.device_no = a.device_no
        LEFT JOIN kilowatch.devices g
            ON g.organisation_id = d.organisation_id AND g.id = d.metadata ->> 'gateway'
        WHERE a.organisation_id = ANY(CAST(:organisations AS uuid[])) AND a.status = 'open'
    ), found AS (
        SELECT DISTINCT ON (id) id, parent_id FROM (
            SELECT c.id, p.id AS parent_id, 1 AS nearness FROM child c
            JOIN parent p ON p.organisation_id = c.organisation_id AND p.device_no = c.gateway_no
            WHERE p.id <> c.id AND (c.is_new OR (p.is_new AND c.is_silence))
                -- Of two that name each other one is told of.
                AND (p.gateway_no IS DISTINCT FROM c.device_no OR p.device_no < c.device_no)
            UNION ALL
            SELECT c.id, p.id, 2 FROM child c
            JOIN parent p ON p.organisation_id = c.organisation_id AND p.site_id = c.site_id
            WHERE p.device_no IS NULL AND (c.is_new OR (p.is_new AND c.is_silence))
        ) pairs ORDER BY id, nearness, parent_id
    ), locked AS MATERIALIZED (
        SELECT a.id FROM kilowatch.alerts a WHERE a.id IN (SELECT id FROM found) ORDER BY a.key FOR UPDATE
    )
    UPDATE kilowatch.alerts a
    SET status = 'suppressed', suppressed_by = 'parent:' || CAST(found.parent_id AS text),
        suppressed_until = NULL, parent_id = found.parent_id
    FROM found, locked WHERE a.id = found.id AND locked.id = a.id AND a.status = 'open'
    RETURNING a.id
""")

CLEAR = text("""
    WITH given AS (
        SELECT key, max(ts) AS ts
        FROM unnest(CAST(:keys AS uuid[]), CAST(:ts AS timestamptz[])) AS g (key, ts)
        GROUP BY key
    ), locked AS MATERIALIZED (
        SELECT a.id FROM kilowatch.alerts a JOIN given ON given.key = a.key
        WHERE a.status <> 'resolved' AND a.since <= given.ts ORDER BY a.key FOR UPDATE OF a
    )
    UPDATE kilowatch.alerts a SET status = 'resolved', resolved_at = :now, how = 'cleared'
    FROM locked WHERE a.id = locked.id AND a.status <> 'resolved'
    RETURNING a.id
""")

# What a window would hide: `a` is a row of alerts, `w` one of windows.
ABOUT = """
    w.organisation_id = a.organisation_id AND w.starts_at <= :now AND w.ends_at > :now
    AND (w.device_no IS NULL OR w.device_no = a.device_no) AND (w.site_id IS NULL OR w.site_id = a.site_id)
    AND (w.kind IS NULL OR w.kind = a.kind) AND (w.rule_id IS NULL OR w.rule_id = a.rule_id)
"""

# What another window hides stays hidden, by that one.
LIFT = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT a.id FROM kilowatch.alerts a LEFT JOIN kilowatch.alerts parent ON parent.id = a.parent_id
        WHERE a.status = 'suppressed' AND (
            a.suppressed_until <= :now
            OR (a.parent_id IS NOT NULL AND (
                parent.id IS NULL OR (parent.status = 'resolved' AND parent.resolved_at <= :settled)
            ))
        )
        ORDER BY a.key FOR UPDATE OF a
    ), judged AS (
        SELECT locked.id, held.id AS window_id, held.ends_at FROM locked
        JOIN kilowatch.alerts a ON a.id = locked.id
        LEFT JOIN LATERAL (
            SELECT w.id, w.ends_at FROM kilowatch.maintenance_windows w
            WHERE """  # noqa: S608 - only our own words
    + ABOUT
    + """ ORDER BY w.ends_at DESC LIMIT 1
        ) held ON true
    )
    UPDATE kilowatch.alerts a
    SET status = CASE WHEN judged.window_id IS NULL THEN 'open' ELSE 'suppressed' END,
        suppressed_by = 'window:' || CAST(judged.window_id AS text), suppressed_until = judged.ends_at,
        parent_id = NULL
    FROM judged WHERE a.id = judged.id AND a.status = 'suppressed'
    RETURNING a.id, a.status
"""
)

# A window holds for what is open when it begins.
HIDE = text(
    """
    WITH found AS (
        SELECT DISTINCT ON (a.id) a.id, w.id AS window_id, w.ends_at FROM kilowatch.maintenance_windows w
        JOIN kilowatch.alerts a ON """  # noqa: S608 - only our own words
    + ABOUT
    + """ WHERE a.status = 'open' AND w.starts_at > :since
        ORDER BY a.id, w.ends_at DESC
    ), locked AS MATERIALIZED (
        SELECT a.id FROM kilowatch.alerts a WHERE a.id IN (SELECT id FROM found) ORDER BY a.key FOR UPDATE
    )
    UPDATE kilowatch.alerts a SET status = 'suppressed', suppressed_by = 'window:' || CAST(window_id AS text),
        suppressed_until = ends_at
    FROM found, locked WHERE a.id = found.id AND locked.id = a.id AND a.status = 'open'
    RETURNING a.id
"""
)

# Cooldowns go by the readings' own times, and readings are looked at up to a day late.
RESTING = text("""
    SELECT DISTINCT ON (a.key) a.key, a.organisation_id, a.kind, a.rule_id, a.device_no, a.site_id, a.since,
        a.ts
    FROM kilowatch.alerts a JOIN kilowatch.rules r ON r.id = a.rule_id
    WHERE a.status = 'resolved' AND a.kind = 'rule'
        AND a.ts > CAST(:now AS timestamptz) - make_interval(days => 1, secs => r.cooldown_s)
    ORDER BY a.key, a.ts DESC
""")

# The newest of its key, which somebody ended: the breach itself may last.
DISMISSED = text("""
    SELECT * FROM (
        SELECT DISTINCT ON (key) key, organisation_id, kind, rule_id, device_no, site_id, since, ts, how
        FROM kilowatch.alerts
        WHERE kind = ANY(CAST(:kinds AS text[])) AND raised_at > :after
        ORDER BY key, raised_at DESC, since DESC
    ) newest WHERE how = 'by_hand'
""")

LIVING = text("""
    SELECT key, organisation_id, kind, rule_id, device_no, site_id, since, ts FROM kilowatch.alerts
    WHERE status <> 'resolved' AND kind = ANY(CAST(:kinds AS text[]))
""")


@dataclass(frozen=True, slots=True)
class Raised:
    """What findings did, by ids of alerts. opened: new ones that people are told of; suppressed: new ones
    that they are not told of, and older ones that a new parent explains; worse, better: living ones whose
    severity changed."""

    opened: list[uuid.UUID]
    suppressed: list[uuid.UUID]
    worse: list[uuid.UUID]
    better: list[uuid.UUID]


@dataclass(frozen=True, slots=True)
class LivingAlert:
    """A key that has a living alert, since when its breach lasts, and when that was last certain, epoch
    microseconds UTC."""

    key: Key
    since_us: int
    ts_us: int


async def raise_alerts(
    connection: Connection, findings: Sequence[Finding], now_us: int, price_per_kwh: Decimal
) -> Raised:
    """Opens an alert for each finding whose key has none, and renews those that live. price_per_kwh: at
    sites that have none of their own."""
    if not findings:
        return Raised([], [], [], [])
    if len(findings) > LOOKED_UP_SINGLY:
        await join_by_hash(connection)
    columns = _columns(findings) | {"now": to_datetime(now_us), "price": price_per_kwh}
    opened = list((await connection.execute(RAISE, columns)).scalars())
    renewed = (await connection.execute(RENEW, columns | {"opened": opened})).all()
    worse = [row.id for row in renewed if _rank(row.is_now) > _rank(row.was)]
    better = [row.id for row in renewed if _rank(row.is_now) < _rank(row.was)]
    if not opened:
        return Raised([], [], worse, better)
    organisations = list({finding.key.organisation_id for finding in findings})
    asked = {"opened": opened, "organisations": organisations}
    by_parent = list((await connection.execute(BY_PARENT, asked)).scalars())
    in_window = await _suppressed_of(connection, opened)
    hidden = {*by_parent, *in_window}
    return Raised([one for one in opened if one not in hidden], sorted(hidden), worse, better)


async def clear_alerts(connection: Connection, clearings: Sequence[Clearing], now_us: int) -> list[uuid.UUID]:
    """Resolves the living alerts of these keys, but for those whose breach began later; the ids of those
    that were resolved now."""
    if not clearings:
        return []
    columns = {
        "keys": [clearing.key.id for clearing in clearings],
        "ts": [to_datetime(clearing.ts_us) for clearing in clearings],
        "now": to_datetime(now_us),
    }
    return list((await connection.execute(CLEAR, columns)).scalars())


async def lift_alerts(connection: Connection, now_us: int) -> list[uuid.UUID]:
    """Opens the suppressed alerts whose window is over, or whose parent is gone or long over, and which no
    other window hides; their ids."""
    moments = {"now": to_datetime(now_us), "settled": to_datetime(now_us - SETTLING_US)}
    return [row.id for row in await connection.execute(LIFT, moments) if row.status == "open"]


async def hide_alerts(connection: Connection, since_us: int, now_us: int) -> list[uuid.UUID]:
    """Suppresses the open alerts of windows that have begun since then; their ids."""
    moments = {"now": to_datetime(now_us), "since": to_datetime(since_us)}
    return list((await connection.execute(HIDE, moments)).scalars())


async def list_living(connection: Connection, kinds: Sequence[str]) -> list[LivingAlert]:
    """The keys of these kinds that have a living alert."""
    return [_as_living(row) for row in await connection.execute(LIVING, {"kinds": list(kinds)})]


async def list_resting(connection: Connection, now_us: int) -> list[LivingAlert]:
    """Of rules the alerts that are over and whose cooldown may last."""
    found = await connection.execute(RESTING, {"now": to_datetime(now_us)})
    return [_as_living(row) for row in found]


async def list_dismissed(connection: Connection, kinds: Sequence[str], now_us: int) -> list[LivingAlert]:
    """Of keys that have no living alert the last one, where it was ended by hand, and was raised lately."""
    asked = {"kinds": list(kinds), "after": to_datetime(now_us - DISMISSED_US)}
    return [_as_living(row) for row in await connection.execute(DISMISSED, asked)]


def _as_living(row: Any) -> LivingAlert:
    site_id = row.site_id if row.device_no is None else None
    key = Key(row.organisation_id, row.kind, row.device_no, site_id, row.rule_id)
    if key.id != row.key:  # of a rule for a whole site, whose key names both
        key = Key(row.organisation_id, row.kind, row.device_no, row.site_id, row.rule_id)
    return LivingAlert(key, to_us(row.since), to_us(row.ts))


async def _suppressed_of(connection: Connection, alert_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    asked = text(
        "SELECT id FROM kilowatch.alerts WHERE status = 'suppressed' AND id = ANY(CAST(:ids AS uuid[]))"
    )
    return list((await connection.execute(asked, {"ids": list(alert_ids)})).scalars())


def _columns(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "ids": [one.alert_id for one in findings],
        "keys": [one.key.id for one in findings],
        "organisations": [one.key.organisation_id for one in findings],
        "kinds": [one.key.kind for one in findings],
        "rules": [one.key.rule_id for one in findings],
        "devices": [one.key.device_no for one in findings],
        "sites": [one.key.site_id for one in findings],
        "severities": [one.severity for one in findings],
        "since": [to_datetime(one.since_us) for one in findings],
        "ts": [to_datetime(one.ts_us) for one in findings],
        "metrics": [one.metric for one in findings],
        "values": [_finite(one.value) for one in findings],
        "limits": [_finite(one.limit) for one in findings],
        "excess": [_finite(one.excess_w) for one in findings],
        "counts": [one.devices for one in findings],
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _rank(severity: Any) -> int:
    return SEVERITIES.index(severity)
