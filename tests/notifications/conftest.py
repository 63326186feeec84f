"""People in an organisation, and real services to tell them by: an SMTP server and an HTTP one."""

import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kilowatch.accounts.mail import Mail, SmtpMail
from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import DrivenClock
from kilowatch.ids import new_id
from kilowatch.notifications.address import kind_of, mask
from kilowatch.notifications.courier import Courier
from kilowatch.notifications.notice import Notice
from kilowatch.notifications.preference import Preferences
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Sender
from kilowatch.notifications.severity import Severity
from kilowatch.notifications.store.channels import NewChannel, create_channel
from kilowatch.notifications.store.deliveries import Delivery, list_deliveries
from kilowatch.notifications.store.preferences import set_preferences
from kilowatch.postgres.engine import Database, Sight
from kilowatch.sites.store import create_site, register_devices
from kilowatch.wire.live import LiveEvent
from tests.post import Post, open_post
from tests.server.persons import join, make_person

KEY = b"s" * 32
NOW_US = 1_800_000_000_000_000
"""2027-01-15T08:00Z."""


@dataclass
class Hook:
    """An HTTP server that notes what it is sent, and answers as it is told to."""

    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; then 200."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    wait: threading.Event = field(default_factory=threading.Event)
    """While it is not set, nothing is answered."""
    port: int = 0

    def __post_init__(self) -> None:
        self.wait.set()

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/s3cr3tpath"


class QuietServer(ThreadingHTTPServer):
    """Its clients may be killed at any time."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that are gone."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook on a port of its own."""
    noted = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            noted.asked += 1
            status = noted.answers.pop(0) if noted.answers else 200
            noted.wait.wait(30)
            if status < 300:
                noted.taken.append(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    noted.port = server.server_address[1]
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield noted
    noted.wait.set()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def post() -> Iterator[Post]:
    """An SMTP server on a port of its own."""
    with open_post() as kept:
        yield kept


@pytest.fixture
def mail(post: Post) -> Mail:
    """The instance's own mail."""
    return SmtpMail(f"smtp://127.0.0.1:{post.port}", "Kilowatch <kilowatch@example.org>")


@dataclass
class Town:
    """An organisation with a site, a device, and people."""

    database: Database
    worker: Database
    organisation: Organisation
    site_id: uuid.UUID
    device_no: int

    async def add(self, role: Role, wanted: Preferences | None = None) -> uuid.UUID:
        """A new member."""
        person = await join(self.database, self.organisation.id, await make_person(self.database), role)
        if wanted is not None:
            await self.wish(person.user_id, wanted)
        return person.user_id

    async def wish(self, user_id: uuid.UUID, wanted: Preferences) -> None:
        async with self.database.person(user_id, self.organisation.id) as connection:
            await set_preferences(connection, self.organisation.id, user_id, wanted)

    async def open_channel(
        self, user_id: uuid.UUID | None, address: str, severity: Severity = "low", name: str = "hook"
    ) -> uuid.UUID:
        channel_id = new_id()
        new = NewChannel(
            channel_id,
            self.organisation.id,
            user_id,
            name,
            kind_of(address),
            Seal(KEY).seal(address),
            mask(address),
            severity,
            True,
        )
        async with self.database.scope(Sight(self.organisation.id, user_id)) as connection:
            await create_channel(connection, new)
        return channel_id

    def notice(self, severity: Severity = "high", **more: Any) -> Notice:
        given: dict[str, Any] = {
            "organisation_id": self.organisation.id,
            "alert_id": new_id(),
            "site_id": self.site_id,
            "severity": severity,
            "title": "Kettle is on standby",
            "body": "It takes 12 W.",
            "remedy": "Pull the plug.",
            "ts_us": NOW_US,
            "device_no": self.device_no,
        }
        return Notice(**(given | more))

    async def log(self, channel_id: uuid.UUID) -> list[Delivery]:
        """What went to a channel, oldest first."""
        async with self.worker.scope(self.organisation.id) as connection:
            return (await list_deliveries(connection, channel_id, 500)).items[::-1]


@pytest.fixture
def new_town(
    database: Database, worker_database: Database, new_organisation: Callable[[], Awaitable[Organisation]]
) -> Callable[[], Awaitable[Town]]:
    """Makes towns."""

    async def make() -> Town:
        organisation = await new_organisation()
        async with database.scope(organisation.id) as connection:
            site = await create_site(connection, organisation.id, "plant", "Works")
            devices = await register_devices(connection, organisation.id, ["kettle"])
        return Town(database, worker_database, organisation, site.id, devices["kettle"])

    return make


@pytest.fixture
async def town(new_town: Callable[[], Awaitable[Town]]) -> Town:
    """A town of this test's own."""
    return await new_town()


@pytest.fixture
def clock() -> DrivenClock:
    """Moves when it is told to."""
    return DrivenClock(NOW_US)


@pytest.fixture
def told() -> list[LiveEvent]:
    """What was told live."""
    return []


@pytest.fixture
def courier(worker_database: Database, clock: DrivenClock, mail: Mail, told: list[LiveEvent]) -> Courier:
    """A courier that may reach this machine."""

    async def publish(event: LiveEvent) -> None:
        told.append(event)

    sender = Sender(mail, private_hosts=True, limit_s=5)
    return Courier(worker_database, Seal(KEY), sender, clock, publish)
