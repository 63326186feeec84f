"""The library's connection to NATS, made to leave nothing behind.

Owns what nats-py forgets while it comes back: the socket of a try that failed, and the task that tries when
the connection is closed in that moment (its waiting swallows the cancellation, and it would go on for ever).
Keeps true that after `end` no socket is open and no task runs.
"""

import asyncio
from typing import Any

from nats.aio.client import Client


class Connection(Client):
    """A connection that ends for good with `end`."""

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False

    async def end(self) -> None:
        """Closes the connection and returns when nothing of it is left, also in the middle of a try."""
        self._has_ended = True
        await self.close()
        trying = self._reconnection_task
        if trying is not None:
            await asyncio.wait([trying])
        # A try that was nearly there has opened the connection anew since.
        await self.close()
        self._drop_socket()

    async def _connect_to_server(self, s: Any) -> None:
        if self._has_ended:
            raise asyncio.CancelledError
        self._drop_socket()
        await super()._connect_to_server(s)

    def _drop_socket(self) -> None:
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]
