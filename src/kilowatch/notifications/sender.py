"""Sends one message to one address, through Apprise or this instance's mail server, and says how it went.

Keeps true: it ends within its time limit whatever the service does; the answer holds no secret of the
address; unless private hosts are allowed, no connection leaves for one (see `guard`).
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kilowatch.accounts.mail import Mail
from kilowatch.errors import EngineUnavailable
from kilowatch.notifications.address import find_plugin, is_own_mail, own_mail_to, redact
from kilowatch.notifications.guard import only_public
from kilowatch.notifications.letter import Letter

LIMIT_S = 20.0
READ_S = 10.0
THREADS_MOST = 64
"""Threads that services keep waiting longer than the limit count until they end."""
DETAIL_MOST = 500
TYPES = {"low": "info", "medium": "warning", "high": "failure", "critical": "failure"}

_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went; `detail` is what the service or the way to it said."""

    ok: bool
    detail: str


class Sender:
    """Sends letters. Belongs to one event loop."""

    def __init__(self, mail: Mail, *, private_hosts: bool = False, limit_s: float = LIMIT_S) -> None:
        self._mail = mail
        self.private_hosts = private_hosts
        self._limit_s = limit_s
        self._threads = 0
        self._late: set[str] = set()
        """Addresses whose last message still keeps a thread waiting."""

    async def send(self, address: str, letter: Letter) -> Answer:
        """Sends a letter to an address that `check_address` accepted."""
        if is_own_mail(address):
            return await self._mail_to(own_mail_to(address), letter)
        if address in self._late:
            return Answer(False, "the message before is still not answered")
        if self._threads >= THREADS_MOST:
            return Answer(False, "too many services keep this instance waiting")
        answer = await self._in_thread(address, lambda: self._notify(address, letter))
        return Answer(answer.ok, redact(answer.detail, address)[:DETAIL_MOST])

    async def _mail_to(self, to: str, letter: Letter) -> Answer:
        try:
            async with asyncio.timeout(self._limit_s):
                await self._mail.send(to, letter.title, letter.body + "\n")
        except TimeoutError:
            return self._too_slow()
        except EngineUnavailable as error:
            return Answer(False, str(error)[:DETAIL_MOST])
        except Exception as error:  # a letter that cannot be written is one that was not sent
            return Answer(False, f"{type(error).__name__}: {error}"[:DETAIL_MOST])
        return Answer(True, "handed to the mail server")

    async def _in_thread(self, address: str, work: Callable[[], Answer]) -> Answer:
        """Runs `work` in a thread of its own, which a service that never answers takes with it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        self._threads += 1
        over = asyncio.Event()

        def finish(answer: Answer) -> None:
            over.set()
            self._threads -= 1
            self._late.discard(address)
            if not done.done():
                done.set_result(answer)

        def run() -> None:
            answer = work()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish, answer)

        threading.Thread(target=run, name="channel", daemon=True).start()
        try:
            async with asyncio.timeout(self._limit_s):
                return await done
        except TimeoutError:
            if not over.is_set():
                self._late.add(address)
            return self._too_slow()

    def _notify(self, address: str, letter: Letter) -> Answer:
        plugin = find_plugin(address)
        if plugin is None:
            return Answer(False, "this kind of address cannot be sent to any more")
        plugin.socket_connect_timeout, plugin.socket_read_timeout = READ_S / 2, READ_S
        said: list[str] = []
        _listen()
        _thread.said = said
        try:
            with contextlib.nullcontext() if self.private_hosts else only_public():
                ok = bool(
                    plugin.notify(title=letter.title, body=letter.body, notify_type=TYPES[letter.severity])
                )
        except Exception as error:  # a plugin that breaks is a delivery that failed
            return Answer(False, f"{type(error).__name__}: {error}")
        finally:
            _thread.said = None
        if ok:
            return Answer(True, "taken by the service")
        return Answer(False, "; ".join(said) or "the service refused it or could not be reached")

    def _too_slow(self) -> Answer:
        return Answer(False, f"no answer within {self._limit_s:g} s")


@lru_cache(maxsize=1)
def _listen() -> None:
    """Hears what Apprise says of what went wrong."""
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.WARNING)
    logger.addHandler(_Listener())


class _Listener(logging.Handler):
    """Gives each sending thread what was said in it."""

    def emit(self, record: logging.LogRecord) -> None:
        said: Any = getattr(_thread, "said", None)
        if said is not None:
            said.append(" ".join(record.getMessage().split()))
