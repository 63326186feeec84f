"""A mail server that keeps what it gets."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Post:
    """An SMTP server's letters."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


def port_of(controller: Controller) -> int:
    """Where a mail server listens."""
    assert isinstance(controller.server, asyncio.Server)
    return int(controller.server.sockets[0].getsockname()[1])


@contextmanager
def open_post() -> Iterator[Post]:
    """An SMTP server on a port of its own."""
    kept = Post()

    class AnyPort(Controller):
        def _trigger_server(self) -> None:
            """Port 0 is any free one, which only the server knows."""
            with socket.create_connection(("127.0.0.1", port_of(self)), 5) as trial:
                trial.recv(1024)

    controller = AnyPort(kept, hostname="127.0.0.1", port=0)
    controller.start()
    kept.port = port_of(controller)
    yield kept
    controller.stop()
