"""Connections to PostgreSQL, each transaction scoped to one organisation.

Owns the pool and the only commit: a transaction begins and ends in `Database.scope` (or `unscoped`), nobody
else commits. Keeps true: what runs under the application's role sees one organisation's rows or none. A
lost server becomes `EngineUnavailable`; the next transaction connects anew.
"""

import asyncio
import select
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from kilowatch.errors import EngineUnavailable
from kilowatch.postgres.roles import sqlalchemy_url, with_options

Connection = AsyncConnection
"""What store functions take: a connection inside a transaction that somebody else ends."""

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT = "60s"
LOCK_TIMEOUT = "10s"
POOL_SIZE = 12
"""Connections stay open once there was need of them: to open one costs as much as many questions."""
POOL_WAIT_S = 10.0
TRUSTED_S = 5.0
"""A connection that rested no longer, and to which the server said nothing meanwhile, is there still."""

# SQLSTATE classes that say "not now": connection trouble, no resources, an operator's shutdown, a disk error.
UNAVAILABLE_CLASSES = ("08", "53", "58")
UNAVAILABLE_STATES = ("57P01", "57P02", "57P03", "57P05", "55P03", "40P01", "40001", "57014")


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose rows a transaction sees: one organisation's, and a person's own where it names one; of a customer
    only what is assigned to them."""

    organisation_id: uuid.UUID
    user_id: uuid.UUID | None = None
    is_customer: bool = False


class Database:
    """A pool of connections under one role. Made inside the event loop that uses it; `close` at the end."""

    def __init__(self, url: str, pool_size: int = POOL_SIZE) -> None:
        settings = {
            "statement_timeout": STATEMENT_TIMEOUT,
            "lock_timeout": LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT,
            "timezone": "UTC",
        }
        self._engine = create_async_engine(
            sqlalchemy_url(with_options(url, settings)),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_use_lifo=True,
            pool_recycle=3600,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            hide_parameters=True,  # errors are logged, and hashes of passwords and codes are parameters
        )
        _ask_when_in_doubt(self._engine.sync_engine)

    @asynccontextmanager
    async def scope(self, sight: Sight | uuid.UUID) -> AsyncIterator[Connection]:
        """One transaction that sees this organisation only, or less of it; commits at its end, rolls back on
        an exception.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer; then nothing was changed, or (when the answer to
                the commit itself was lost) the change may stand.
        """
        seen = sight if isinstance(sight, Sight) else Sight(sight)
        user = str(seen.user_id or "")
        async with self.unscoped() as connection:
            await connection.execute(
                text(
                    "SELECT set_config('kilowatch.organisation_id', :organisation, true),"
                    " set_config('kilowatch.user_id', :user, true),"
                    " set_config('kilowatch.customer_id', :customer, true)"
                ),
                {
                    "organisation": str(seen.organisation_id),
                    "user": user,
                    "customer": user if seen.is_customer else "",
                },
            )
            yield connection

    @asynccontextmanager
    async def person(
        self, user_id: uuid.UUID, organisation_id: uuid.UUID | None = None
    ) -> AsyncIterator[Connection]:
        """One transaction that sees this person's own rows, and those of one organisation where it is named.

        Raises:
            EngineUnavailable: as `scope`.
        """
        async with self.unscoped() as connection:
            await connection.execute(
                text(
                    "SELECT set_config('kilowatch.user_id', :user, true),"
                    " set_config('kilowatch.organisation_id', :organisation, true)"
                ),
                {"user": str(user_id), "organisation": str(organisation_id or "")},
            )
            yield connection

    @asynccontextmanager
    async def unscoped(self) -> AsyncIterator[Connection]:
        """One transaction without an organisation. The worker's role then sees every organisation, the
        application's none: for it only the look-ups that come before the organisation is known."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            if is_unavailable(error):
                raise EngineUnavailable(f"PostgreSQL does not answer now: {error}") from error
            raise

    async def ping(self, timeout_s: float = 2.0) -> None:
        """One round trip.

        Raises:
            EngineUnavailable: if there is no answer within `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s), self.unscoped() as connection:
                await connection.execute(text("SELECT 1"))
        except TimeoutError as error:
            raise EngineUnavailable(f"PostgreSQL does not answer within {timeout_s} s") from error

    async def close(self) -> None:
        """Closes the pool's connections."""
        await self._engine.dispose()


BY_INDEX = text("SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '64MB', true)")
BY_HASH = text("SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true)")


async def look_up_by_index(connection: Connection) -> None:
    """Has this transaction find rows by index. Where rows were made a moment ago, PostgreSQL takes a table
    for small, and goes through all of it for each row that it looks up."""
    await connection.execute(BY_INDEX)


async def join_by_hash(connection: Connection) -> None:
    """Has this transaction join whole tables at once. Where rows were made a moment ago, PostgreSQL takes
    them for few, and goes through them one by one."""
    await connection.execute(BY_HASH)


def _ask_when_in_doubt(engine: Engine) -> None:
    """Has a connection that was at rest asked whether it is alive, where that is not plain without a round
    trip: the end of a session makes its socket readable."""

    def note_rest(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    def look(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        rested_s = time.monotonic() - record.info.get("rests_since", time.monotonic())
        if rested_s < TRUSTED_S and not _was_told_something(record.driver_connection):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", note_rest)
    event.listen(engine, "checkout", look)


def _was_told_something(connection: Any) -> bool:
    if connection.closed or not hasattr(select, "poll"):
        return True
    asked = select.poll()
    asked.register(connection.pgconn.socket, select.POLLIN)
    return bool(asked.poll(0))


def is_unavailable(error: Exception) -> bool:
    """Whether trying again later may help: the server is away, full or busy; the statement is right."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))
    return state.startswith(UNAVAILABLE_CLASSES) or state in UNAVAILABLE_STATES
