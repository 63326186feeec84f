"""Being the only one: advisory locks that a process holds as long as its connection lives.

Keeps true that two processes never hold the same lease, and that a dead process holds none: PostgreSQL lets
go of it with the connection.
"""

import asyncio
from types import TracebackType
from typing import Self

import psycopg

from kilowatch.errors import EngineUnavailable
from kilowatch.postgres.roles import libpq_url

LEASE_SPACE = 0x6B77
"""First half of the lock's number; keeps our locks apart from other programs' in the same database."""
UPKEEP = 10_000
"""Number of the lease for the lake's upkeep; partitions have their own number."""
COMMANDS = 10_001
"""Number of the lease for sending commands to devices."""


class Leases:
    """Locks held through one connection of their own."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, url: str) -> Self:
        """A connection that can take leases.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                libpq_url(url), autocommit=True, connect_timeout=3
            )
        except psycopg.OperationalError as error:
            raise EngineUnavailable(f"PostgreSQL does not answer: {error}") from error
        return cls(connection)

    async def take(self, number: int) -> bool:
        """Takes a lease if nobody has it.

        Raises:
            EngineUnavailable: if PostgreSQL went away; every lease is lost then.
        """
        try:
            cursor = await self._connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", (LEASE_SPACE, number)
            )
            row = await cursor.fetchone()
        except psycopg.Error as error:
            raise EngineUnavailable(f"PostgreSQL went away, and its leases with it: {error}") from error
        return bool(row and row[0])

    async def check(self, timeout_s: float = 5.0) -> None:
        """Returns if the leases are still held.

        Raises:
            EngineUnavailable: if the connection is gone, and with it the leases.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError) as error:
            raise EngineUnavailable(f"the leases are lost: {error}") from error

    async def close(self) -> None:
        """Lets go of every lease."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
