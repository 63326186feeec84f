"""Serving the application: uvicorn as this house sets it up, and an orderly end.

Keeps true that open WebSockets and event streams do not hold up the end: they are closed first, with a code
that tells clients to come back, and what is still open after a few seconds is cut off.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn

GRACE_S = 3
PING_S = 30.0
SILENCE_S = 90.0
"""A WebSocket whose client answers no ping for this long is closed."""
MESSAGE_BYTES = 64 * 1024
"""Longest message that a WebSocket client may send."""
BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that ends live connections before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, before_end: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._before_end = before_end

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Ends the server at a signal, but not the process: what is gathered is still to be stored."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes what is live, then everything."""
        await self._before_end()
        await super().shutdown(sockets)


def make_server(
    app: Callable[..., Any],
    before_end: Callable[[], Awaitable[None]],
    host: str = "127.0.0.1",
    port: int = 0,
    ping_s: float = PING_S,
    silence_s: float = SILENCE_S,
    http: type[asyncio.Protocol] | Literal["httptools"] = "httptools",
    trusted_proxies: Sequence[str] = (),
) -> Server:
    """A server for `app`; `before_end` is `Application.stop`, `http` the connection that speaks HTTP;
    only `trusted_proxies` (addresses, networks) may say in X-Forwarded-For and -Proto for whom they ask.

    Serve it with `await server.serve(sockets)`.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=http,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=ping_s,
        ws_ping_timeout=silence_s - ping_s,
        # Compressing the same batch for every client costs more than this machine's own network saves.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        log_config=None,
        lifespan="on",
    )
    return Server(config, before_end)
