"""Mail over SMTP, to a server of the standard library's sockets that speaks as much as is needed."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kilowatch.accounts.mail import SmtpMail
from kilowatch.errors import EngineUnavailable

SENDER = "Kilowatch <kilowatch@example.org>"


@dataclass
class Post:
    """An SMTP server on loopback; `heard` is each line with whether it came over TLS."""

    tls: ssl.SSLContext | None
    port: int = 0
    heard: list[tuple[bool, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        safe = letter = False
        writer.write(b"220 post\r\n")
        while read := await reader.readline():
            line = read.decode().strip("\r\n")
            self.heard.append((safe, line))
            word = line.partition(" ")[0].upper()
            if letter:
                letter = line != "."
                if letter:
                    continue
                answer = "250 taken"
            elif word == "EHLO":
                answer = "250-post\r\n250-AUTH PLAIN LOGIN"
                answer += "\r\n250-STARTTLS\r\n250 SIZE" if self.tls and not safe else "\r\n250 SIZE"
            elif word == "STARTTLS" and self.tls:
                writer.write(b"220 go\r\n")
                try:
                    await writer.start_tls(self.tls)
                except (ssl.SSLError, ConnectionError):
                    return
                safe = True
                continue
            else:
                letter = word == "DATA"
                answer = {"AUTH": "235 ok", "DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 ok")
            writer.write(answer.encode() + b"\r\n")

    def told(self, word: str) -> list[bool]:
        """For each command of this word whether it came over TLS."""
        return [safe for safe, line in self.heard if line.upper().startswith(word)]


@asynccontextmanager
async def open_post(tls: ssl.SSLContext | None) -> AsyncIterator[Post]:
    post = Post(tls)
    server = await asyncio.start_server(post.serve, "127.0.0.1", 0)
    post.port = server.sockets[0].getsockname()[1]
    async with server:
        yield post


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that nobody has signed, and a server's settings with it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key", "-out", folder / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return folder / "cert", context


Trust = Callable[[], None]


@pytest.fixture
def trust(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Makes this machine know the certificate."""
    return lambda: monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


async def test_a_password_goes_over_tls_where_it_is_offered(
    certificate: tuple[Path, ssl.SSLContext], trust: Trust
) -> None:
    trust()
    async with open_post(certificate[1]) as post:
        await SmtpMail(f"smtp://kw:Zq8vN3xT@localhost:{post.port}", SENDER).send("a@b.org", "Code", "123456")
    assert post.told("AUTH") == [True]
    assert post.told("123456") == [True]


async def test_a_server_that_nobody_knows_gets_no_password(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    async with open_post(certificate[1]) as post:
        with pytest.raises(EngineUnavailable, match="certificate"):
            await SmtpMail(f"smtp://kw:Zq8vN3xT@localhost:{post.port}", SENDER).send("a@b.org", "Code", "1")
    assert post.told("AUTH") == []


async def test_without_a_password_any_tls_is_better_than_none(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    async with open_post(certificate[1]) as post:
        await SmtpMail(f"smtp://localhost:{post.port}", SENDER).send("a@b.org", "Code", "123456")
    assert post.told("123456") == [True]


async def test_a_server_without_tls_gets_the_letter_as_it_is() -> None:
    async with open_post(None) as post:
        await SmtpMail(f"smtp://localhost:{post.port}", SENDER).send("a@b.org", "Code", "123456")
    assert post.told("123456") == [False]
