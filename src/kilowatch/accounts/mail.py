"""Mail to people: through an SMTP server, or as files in the data folder where none is set.

Keeps true: whoever runs an instance without a mail server can still read every code, with `kw mail`.
"""

import asyncio
import smtplib
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.settings import Settings

TIMEOUT_S = 10.0


RETRY_AFTER_S = 10


def mail_unsent(stands: str) -> Problem:
    """What is told when all was done but a letter could not be sent: what stands, and what to do."""
    return Problem(503, "mail_unsent", f"No mail can be sent now. {stands}", retry_after_s=RETRY_AFTER_S)


class Mail(Protocol):
    """Where mail goes."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends a letter.

        Raises:
            EngineUnavailable: if it cannot be handed over now.
        """


@dataclass(frozen=True, slots=True)
class FolderMail:
    """Writes each letter as a file `*.eml`."""

    folder: Path
    sender: str

    async def send(self, to: str, subject: str, text: str) -> None:
        """Writes the letter, readable by this user only."""
        await asyncio.to_thread(self._write, _letter(self.sender, to, subject, text))

    def _write(self, letter: EmailMessage) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.eml"
        unready = path.with_suffix(".part")
        unready.touch(mode=0o600)
        unready.write_bytes(letter.as_bytes())
        unready.rename(path)


@dataclass(frozen=True, slots=True)
class SmtpMail:
    """Hands letters to an SMTP server: `smtp://user:password@host:port`, over TLS as soon as it offers
    that; `smtps://` is TLS from the start. A password goes to no server that cannot show who it is, except to
    one that offers no TLS at all."""

    url: str
    sender: str

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends the letter."""
        try:
            await asyncio.to_thread(self._send, _letter(self.sender, to, subject, text))
        except (OSError, smtplib.SMTPException) as error:
            raise EngineUnavailable(f"the mail server does not take a letter: {error}") from error

    def _send(self, letter: EmailMessage) -> None:
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "localhost", parts.scheme == "smtps"
        known = ssl.create_default_context()
        if not secure and not parts.username:  # nothing to lose that would not go in the open otherwise
            known.check_hostname, known.verify_mode = False, ssl.CERT_NONE
        with self._connect(host, parts.port, known if secure else None) as server:
            server.ehlo_or_helo_if_needed()
            if not secure and server.has_extn("starttls"):
                server.starttls(context=known)
                server.ehlo_or_helo_if_needed()
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(letter)

    @staticmethod
    def _connect(host: str, port: int | None, tls: ssl.SSLContext | None) -> smtplib.SMTP:
        if tls is None:
            return smtplib.SMTP(host, port or 25, timeout=TIMEOUT_S)
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_S, context=tls)


class NoMail:
    """Nowhere: whoever needs a letter is told that none can be sent."""

    async def send(self, *_: str) -> None:
        """Refuses."""
        raise EngineUnavailable("no mail can be sent from here")


def choose_mail(settings: Settings) -> Mail:
    """The way that the settings name."""
    if settings.smtp_url is not None:
        return SmtpMail(settings.smtp_url.get_secret_value(), settings.mail_from)
    return FolderMail(mail_folder(settings), settings.mail_from)


def mail_folder(settings: Settings) -> Path:
    """Where letters lie when there is no mail server."""
    return settings.data / "mail"


def read_letters(folder: Path) -> Iterator[EmailMessage]:
    """The letters that were written, oldest first."""
    for path in sorted(folder.glob("*.eml")):
        yield message_from_bytes(path.read_bytes(), policy=policy.default)


def _letter(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, to, subject
    letter.set_content(text)
    return letter
