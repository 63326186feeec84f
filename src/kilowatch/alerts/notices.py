"""Where alerts meet the people who are told of them.

Keeps true: people are told in the transaction in which an alert is written or ended, so that neither stands
without the other.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kilowatch.alerts.store.alerts import find_rule_channels
from kilowatch.alerts.telling import Told
from kilowatch.clock import to_us
from kilowatch.notifications import notice
from kilowatch.postgres.engine import Connection
from kilowatch.wire.live import LiveEvent

Tell = Callable[[Connection, Sequence[Told], int], Awaitable[Sequence[LiveEvent]]]
"""Tells people of alerts that opened or grew worse, now (epoch microseconds UTC); returns what is to be told
live once the transaction has ended."""
Settle = Callable[[Connection, Sequence[uuid.UUID], int], Awaitable[None]]
"""Has nobody told any more of these alerts, which are looked after or over."""


async def tell_people(connection: Connection, alerts: Sequence[Told], now_us: int) -> Sequence[LiveEvent]:
    """Writes notices of these alerts for everybody whom they concern, in the alerts' own words."""
    rule_ids = {one.alert.rule_id for one in alerts if one.alert.rule_id is not None}
    channels = await find_rule_channels(connection, sorted(rule_ids)) if rule_ids else {}
    notices = [
        notice.Notice(
            organisation_id=one.alert.organisation_id,
            alert_id=one.alert.id,
            site_id=one.alert.site_id,
            severity=one.alert.severity,
            title=one.spoken.title,
            body=one.spoken.description,
            remedy=one.spoken.remedy,
            ts_us=to_us(one.alert.ts),
            rule_channels=channels.get(one.alert.rule_id, ()) if one.alert.rule_id else (),
            device_no=one.alert.device_no,
            looked_after=one.alert.status == "acknowledged",
        )
        for one in alerts
    ]
    return await notice.tell(connection, notices, now_us)


Resume = Callable[[Connection, Sequence[uuid.UUID], int], Awaitable[None]]
"""Goes on telling people of these alerts, which are hidden no longer."""


@dataclass(frozen=True, slots=True)
class Notices:
    """Who tells people, who stops it, and who goes on."""

    tell: Tell = tell_people
    settle: Settle = notice.settle
    resume: Resume = notice.resume
