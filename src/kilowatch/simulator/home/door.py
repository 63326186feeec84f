"""The doors of an instance, as the simulator knocks at them: plain HTTP over connections that stay open.

Light on purpose, with nothing but the standard library: who waits for the first home imports this. Each
thread has a connection of its own.
"""

import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
NO_HEADERS: Mapping[str, str] = {}
PATIENCE_S = 2.0
"""How long to wait where the instance does not say."""


class Away(Exception):
    """The instance does not answer, or asks to come later; `wait_s` says when."""

    def __init__(self, wait_s: float = PATIENCE_S) -> None:
        super().__init__(f"try again in {wait_s:g} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instance answered."""

    status: int
    tag: str | None
    body: bytes = field(repr=False)


class Doors:
    """An instance by its address."""

    def __init__(self, base_url: str) -> None:
        self._place = urlsplit(base_url)
        self._own = threading.local()

    def ask(
        self,
        method: str,
        path: str,
        credentials: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        """Asks once.

        Raises:
            Away: if there is no answer, or 429 or 503.
        """
        sent = {**headers, "Authorization": f"Bearer {credentials}"}
        try:
            connection = self._connection()
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheader("ETag"), response.read())
            wait = response.getheader("Retry-After")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Away from error
        if answer.status in (429, 500, 502, 503, 504):
            raise Away(float(wait) if wait and wait.isdigit() else PATIENCE_S)
        return answer

    def close(self) -> None:
        """Closes this thread's connection; the next question opens another."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
            self._own.connection = None

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            kind = (
                http.client.HTTPSConnection if self._place.scheme == "https" else http.client.HTTPConnection
            )
            connection = kind(self._place.hostname or "", self._place.port, timeout=TIMEOUT_S)
            self._own.connection = connection
        return connection
