"""A connection of a load that counts what goes wrong and goes on, as a device does whose next reading is due.

Keeps true: every reading that was sent is accepted or an error of one class; nothing is sent twice. How long
an answer took is counted from when its request was due, so that what waits behind a slow answer is slow, too.
"""

import asyncio
import re
import time
from collections.abc import Callable

from kilowatch.cli.bench.http_client import Sender, Source, count_accepted
from kilowatch.cli.bench.order import Target
from kilowatch.cli.bench.tally import Tally

RECONNECT_S = 0.2
_SOME = re.compile(rb'"accepted": ?([0-9]+)')


class PatientSender(Sender):
    """See `Sender`; a connection that is lost is opened again."""

    def __init__(
        self,
        target: Target,
        request_head: bytes,
        source: Source,
        tally: Tally,
        more: Callable[[], bool],
        pace_s: float = 0.0,
    ) -> None:
        super().__init__(request_head, source, tally, more, pace_s)
        self._target = target
        self._is_open = False

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - every cause counts the same
        """The connection is gone, and what was under way with it; another is opened."""
        if self._closing or self.done.done():
            self._finish()
            return
        self._transport, self._pending = None, b""
        if self._is_open:
            self._fail("network")
        self._reconnecting = asyncio.ensure_future(self._reconnect())

    async def _reconnect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.done.done():
            await asyncio.sleep(RECONNECT_S)
            try:
                await loop.create_connection(lambda: self, self._target.host, self._target.port)
            except OSError:
                if not self._more():
                    self._close()
                continue
            self._send_next()
            return

    def _answered(self, data: bytes, end: int) -> None:
        status = data[9:12]
        accepted = count_accepted(data, end, self._parcel.readings)
        if accepted == self._parcel.readings:
            self._accept(accepted, time.monotonic())
        else:
            some = _SOME.search(data, end) if status == b"202" else None
            kept = int(some[1]) if some else 0
            self._tally.accepted += kept
            self._fail(_class_of(status), kept)
        self._is_open = False
        self._send_when_due()

    def _fail(self, kind: str, kept: int = 0) -> None:
        self._tally.errors[kind] += self._parcel.readings - kept
        self._tally.last_at = time.monotonic()
        self._source.give_back(self._parcel)
        self._is_open = False

    def _send_next(self) -> None:
        late_s = max(0.0, asyncio.get_running_loop().time() - self._due) if self._pace_s else 0.0
        super()._send_next()
        if not self._closing:
            self._is_open = True
            self._sent_at -= late_s
            self._tally.attempted += self._parcel.readings


def _class_of(status: bytes) -> str:
    if status in (b"429", b"503"):
        return status.decode()
    if status.startswith(b"2"):
        return "rejected"
    return "4xx" if status.startswith(b"4") else "5xx"
