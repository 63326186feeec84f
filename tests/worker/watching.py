"""A lookout over a house, for tests: rules, readings that it is shown, and what it would tell."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from kilowatch.alerts.finding import Clearing, Finding
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.postgres.engine import Database
from kilowatch.rules.rule import Rule
from kilowatch.rules.store import create_rule
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from kilowatch.worker.alarms import Alarms
from kilowatch.worker.lookout import Lookout, Sources
from tests.worker.house import NOW_US, SECOND_US, House, Reading

HIGH = {"name": "High", "metric": "power", "operator": ">", "threshold": 100.0}
START_US = NOW_US - 3600 * SECOND_US


async def rule_of(house: House, **more: Any) -> Rule:
    async with house.database.scope(house.organisation.id) as connection:
        return await create_rule(connection, house.organisation.id, HIGH | more)


async def tell(house: House, kind: Any) -> None:
    await house.client.publish(REGISTRY_SUBJECT, RegistryChange(str(house.organisation.id), kind).encode())


@dataclass
class Taken(Alarms):
    """Keeps what it was given; `known` is what it says lives."""

    known: Sequence[Finding] = ()
    told: list[Finding | Clearing] = field(default_factory=list)

    async def living(self, kinds: Sequence[str] = ("rule",)) -> list[LivingAlert]:
        assert list(kinds) == ["rule"]
        return [LivingAlert(one.key, one.since_us, one.ts_us) for one in self.known]

    async def take(self, findings: Sequence[Finding], clearings: Sequence[Clearing]) -> None:
        self.told += [*findings, *clearings]

    @property
    def raises(self) -> list[Finding]:
        return [one for one in self.told if isinstance(one, Finding)]

    @property
    def clears(self) -> list[Clearing]:
        return [one for one in self.told if isinstance(one, Clearing)]


@asynccontextmanager
async def looking(
    house: House,
    known: Sequence[Finding] = (),
    newest: dict[int, int] | None = None,
    numbers: Sequence[int] = (0,),
    partitions: int = 1,
    is_behind: bool = False,
) -> AsyncIterator[tuple[Lookout, Taken]]:
    """A lookout at work, without a worker around it."""
    database = Database(house.worker_url)
    newest_us = np.full(1000, np.iinfo(np.int64).min)
    for series, ts_us in (newest or {}).items():
        newest_us[series] = ts_us
    taken = Taken(database, house.client, house.clock, Decimal("0.30"), known=known)
    lookout = Lookout(Sources(database, house.reader, house.clock, numbers, partitions), taken)
    await lookout.begin(lambda: newest_us, lambda: is_behind)
    task = asyncio.create_task(lookout.run())
    try:
        yield lookout, taken
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await database.close()


async def show(house: House, lookout: Lookout, readings: Sequence[Reading], cuts: Sequence[int] = ()) -> None:
    """Gives the readings to the lookout, in frames."""
    edges = [0, *sorted(cuts), len(readings)]
    for begin, end in itertools.pairwise(edges):
        if begin < end:
            lookout.add(house.frame(readings[begin:end]))
    await lookout.caught_up()


def seconds(
    device: str, values: Sequence[float], every_s: int = 1, start_us: int = START_US
) -> list[Reading]:
    return [
        (device, start_us + place * every_s * SECOND_US, {"power": value})
        for place, value in enumerate(values)
    ]
