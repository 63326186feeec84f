"""From the header to the caller: who is let in, for how long, and how often PostgreSQL is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from kilowatch.accounts.identity import Authenticator, require_scope
from kilowatch.accounts.store.api_keys import ApiKey, create_api_key, revoke_api_key
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import DrivenClock, to_datetime
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.postgres.engine import Connection, Database
from kilowatch.postgres.roles import APP

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

NOW_US = 1_790_000_000_000_000


class CountingDatabase(Database):
    """A real database that counts its transactions."""

    transactions = 0

    @asynccontextmanager
    async def unscoped(self) -> AsyncIterator[Connection]:
        self.transactions += 1
        async with super().unscoped() as connection:
            yield connection


@pytest.fixture
async def counted(postgres_server: "PostgresServer", database_name: str) -> AsyncIterator[CountingDatabase]:
    opened = CountingDatabase(postgres_server.url(APP, database_name))
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock(NOW_US)


async def make_key(
    database: Database, organisation: Organisation, expires_us: int | None = None
) -> tuple[ApiKey, str]:
    expires_at = None if expires_us is None else to_datetime(expires_us)
    async with database.scope(organisation.id) as connection:
        return await create_api_key(connection, organisation.id, "K", ["ingest", "read"], True, expires_at)


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
async def test_a_key_opens_the_door(
    counted: CountingDatabase, organisation: Organisation, clock: DrivenClock, scheme: str
) -> None:
    key, secret = await make_key(counted, organisation)
    caller = await Authenticator(counted, clock).authenticate(f"{scheme} {secret}")
    assert (caller.organisation_id, caller.slug, caller.key_no) == (
        organisation.id,
        organisation.slug,
        key.key_no,
    )
    assert caller.auto_register
    require_scope(caller, "read")
    with pytest.raises(Problem) as refused:
        require_scope(caller, "admin")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer wrong", "Token \x00", "Bearer " + "x" * 9999],
)
async def test_anything_else_does_not(
    counted: CountingDatabase, clock: DrivenClock, header: str | None
) -> None:
    with pytest.raises(Problem) as refused:
        await Authenticator(counted, clock).authenticate(header)
    assert refused.value.status == 401


async def test_an_answer_is_remembered_for_a_second(
    counted: CountingDatabase, organisation: Organisation, clock: DrivenClock
) -> None:
    key, secret = await make_key(counted, organisation)
    authenticator = Authenticator(counted, clock)
    before = counted.transactions
    callers = await asyncio.gather(*(authenticator.authenticate(f"Bearer {secret}") for _ in range(50)))
    await authenticator.authenticate(f"Bearer {secret}")
    assert len(set(callers)) == 1
    assert counted.transactions == before + 1

    async with counted.scope(organisation.id) as connection:
        await revoke_api_key(connection, key.id)
    clock.advance(0.999)
    await authenticator.authenticate(f"Bearer {secret}")
    clock.advance(0.001)
    with pytest.raises(Problem):
        await authenticator.authenticate(f"Bearer {secret}")


async def test_a_wrong_key_is_remembered_too(counted: CountingDatabase, clock: DrivenClock) -> None:
    authenticator = Authenticator(counted, clock)
    for _ in range(5):
        with pytest.raises(Problem):
            await authenticator.authenticate("Bearer nobody")
    assert counted.transactions == 1


async def test_a_told_process_knows_at_once(
    counted: CountingDatabase, organisation: Organisation, clock: DrivenClock
) -> None:
    key, secret = await make_key(counted, organisation)
    authenticator = Authenticator(counted, clock)
    await authenticator.authenticate(f"Bearer {secret}")
    async with counted.scope(organisation.id) as connection:
        await revoke_api_key(connection, key.id)
    authenticator.invalidate()
    with pytest.raises(Problem):
        await authenticator.authenticate(f"Bearer {secret}")


async def test_a_key_ends_at_its_very_moment(
    counted: CountingDatabase, organisation: Organisation, clock: DrivenClock
) -> None:
    _, secret = await make_key(counted, organisation, NOW_US + 500_000)
    authenticator = Authenticator(counted, clock)
    clock.advance(0.499_999)
    await authenticator.authenticate(f"Bearer {secret}")
    clock.advance(0.000_001)
    with pytest.raises(Problem):
        await authenticator.authenticate(f"Bearer {secret}")


async def test_memory_is_bounded(counted: CountingDatabase, clock: DrivenClock) -> None:
    authenticator = Authenticator(counted, clock, size=3)
    for number in (0, 1, 2, 3, 3, 0):
        with pytest.raises(Problem):
            await authenticator.authenticate(f"Bearer guess-{number}")
    assert counted.transactions == 5, "the oldest answer made room, the newest was kept"


async def test_no_answer_is_no_refusal(clock: DrivenClock) -> None:
    away = Database("postgresql://nobody@/nothing?host=/nonexistent")
    with pytest.raises(EngineUnavailable):
        await Authenticator(away, clock).authenticate("Bearer something")
    await away.close()
