"""A place for commands, for tests: its servers, its devices, and a dispatcher that may be killed."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiomqtt

from kilowatch.accounts.store.audit import new_line
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import Clock, SystemClock, to_datetime
from kilowatch.control.command import Command, NewCommand
from kilowatch.control.lifecycle import ENDS
from kilowatch.control.store.commands import Stored, create_commands, list_commands
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.simulator.pretend.device import PretendDevice
from kilowatch.simulator.pretend.wire import Login, play
from kilowatch.sites.store import get_device
from kilowatch.stream.client import Client
from kilowatch.stream.logins import Attempt, Grant
from kilowatch.wire.live import COMMANDS_SUBJECT, LiveEvent
from kilowatch.worker.dispatcher import Dispatcher
from tests.stream.conftest import Server as NatsServer
from tests.worker.house import until

INBOX_BYTES = 64 << 20


LASTS_S = 300


async def let_in(attempt: Attempt) -> Grant | None:
    """Any device, to its own topics."""
    slug, _, device = attempt.user.partition("/")
    topics = f"{slug}.devices.{device}"
    return Grant(attempt.user, (f"{topics}.commands.ack",), (f"{topics}.commands",))


@dataclass
class Place:
    """An organisation's devices, those who send to them, and the engines between."""

    organisation: Organisation
    database: Database
    worker_database: Database
    worker_url: str
    log_nats: NatsServer
    mqtt_nats: NatsServer
    client: Client
    inside: Client
    told: list[LiveEvent] = field(default_factory=list)

    async def store(
        self, device: str, *names: str, lasts_s: int = LASTS_S, clock: Clock | None = None, **arguments: Any
    ) -> list[Command]:
        """Commands for a device, in this order."""
        now = to_datetime((clock or SystemClock()).now_us())
        wanted = [
            NewCommand(new_id(), device, name, arguments, now, lasts_s, None, "key:1", None) for name in names
        ]
        lines = [new_line("command.created", actor="key:1", organisation_id=self.organisation.id)] * len(
            wanted
        )
        async with self.database.scope(self.organisation.id) as connection:
            stored = await create_commands(connection, self.organisation.id, wanted, lines)
        with contextlib.suppress(Exception):
            await self.client.publish(COMMANDS_SUBJECT, b"")
        return [one.command for one in stored if isinstance(one, Stored)]

    async def commands(self, device: str | None = None) -> list[Command]:
        """All commands, oldest first."""
        found: list[Command] = []
        cursor = None
        async with self.database.scope(self.organisation.id) as connection:
            while True:
                page = await list_commands(connection, 500, cursor, device=device)
                found += page.items
                cursor = page.next_cursor
                if cursor is None:
                    return found[::-1]

    async def ended(self, commands: Sequence[Command], within_s: float = 30.0) -> list[Command]:
        """These commands once they have ended, in their order."""
        ids = {one.id for one in commands}

        async def over() -> bool:
            return all(one.status in ENDS for one in await self.commands() if one.id in ids)

        await until(over, "the end of all commands", within_s)
        return [one for one in await self.commands() if one.id in ids]

    async def state(self, device: str) -> str:
        """The device's state."""
        async with self.database.scope(self.organisation.id) as connection:
            return (await get_device(connection, device)).state

    def login(self, device: str) -> Login:
        listener = self.mqtt_nats.embedded.mqtt
        assert listener is not None
        user = f"{self.organisation.slug}/{device}"
        return Login("127.0.0.1", listener.port, user, "any", user)

    @contextlib.asynccontextmanager
    async def playing(self, **devices: PretendDevice) -> AsyncIterator[None]:
        """Devices of their own connections, listening."""
        tasks = []
        for name, device in devices.items():
            ready = asyncio.Event()
            tasks.append(asyncio.create_task(play(self.login(name), {name: device}, ready)))
            await asyncio.wait_for(ready.wait(), 20)
        try:
            yield
        finally:
            assert not any(task.done() for task in tasks), tasks
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def sending(self, clock: Clock | None = None) -> AsyncIterator[None]:
        """A dispatcher at work in this process."""
        url = self.mqtt_nats.embedded.url
        dispatcher = Dispatcher(
            self.worker_url, url, self.worker_database, self.client, clock or SystemClock()
        )
        stop = asyncio.Event()
        task = asyncio.create_task(dispatcher.run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    def spawn(self) -> "subprocess.Popen[bytes]":
        """A dispatcher at work in a process of its own."""
        given = [self.worker_url, self.mqtt_nats.embedded.url, self.log_nats.embedded.url]
        return subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(given)], stdout=subprocess.DEVNULL)

    async def connect(self, device: str) -> aiomqtt.Client:
        login = self.login(device)
        return aiomqtt.Client(
            login.host, login.port, username=login.user, password="any", identifier=login.client_id
        )


CHILD = """
import asyncio, json, sys
from kilowatch.cli.processes import until_told
from kilowatch.clock import SystemClock
from kilowatch.postgres.engine import Database
from kilowatch.stream.client import Client
from kilowatch.worker.dispatcher import Dispatcher

async def work(postgres, mqtt, nats):
    while True:
        try:
            client = await Client.connect(nats, name="jobs")
            break
        except Exception:
            pass
    await Dispatcher(postgres, mqtt, Database(postgres), client, SystemClock()).run(until_told())

asyncio.run(work(*json.loads(sys.argv[1])))
"""
