"""Where alerts meet the people who are told of them.

Keeps true: people are told in the transaction in which an alert is written or ended, so that neither stands
without the other.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kilowatch.alerts.telling import Told
from kilowatch.postgres.engine import Connection

Tell = Callable[[Connection, Sequence[Told], int], Awaitable[None]]
"""Tells people of alerts that opened or grew worse, now (epoch microseconds UTC)."""
Settle = Callable[[Connection, Sequence[uuid.UUID], int], Awaitable[None]]
"""Has nobody told any more of these alerts, which are looked after or over."""


async def _nobody(connection: Connection, alerts: Sequence[object], now_us: int) -> None:
    del connection, alerts, now_us


@dataclass(frozen=True, slots=True)
class Notices:
    """Who tells people; without it alerts are shown to those who ask or listen."""

    tell: Tell = _nobody
    settle: Settle = _nobody
