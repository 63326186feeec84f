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
        """Closes the connection and returns when nothing of it is left, also in the middle of a try.

        What still waits to be sent is dropped.
        """
        self._has_ended = True
        try:
            await self._close_without_sending()
            while (trying := self._reconnection_task) is not None and not trying.done():
                await asyncio.wait([trying])
            # A try that was nearly there has opened the connection anew since.
            await self._close_without_sending()
        finally:
            self._drop_socket()

    async def _close_without_sending(self) -> None:
        # The library would write it to a socket that may be gone, and break off there.
        self._pending, self._pending_data_size = [], 0
        await self.close()

    async def _connect_to_server(self, s: Any) -> None:
        if self._has_ended:
            raise asyncio.CancelledError
        self._drop_socket()
        await super()._connect_to_server(s)

    def _drop_socket(self) -> None:
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]
