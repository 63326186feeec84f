"""The processes of an instance, put together from the rooms: server, doors, worker, jobs, migration.

Each is run by the supervisor or by hand, alone and as often as wanted. Keeps true that a process whose
engines are away ends with a clear line, so that whoever watches it starts it again.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from kilowatch.cli.demo import make_demo_keys
from kilowatch.cli.instance import ADDRESSES, Addresses
from kilowatch.cli.memory import give_back_when_quiet, keep_freed_memory, settle_memory
from kilowatch.cli.places import find_addresses, find_lake
from kilowatch.cli.simulation import find_simulator_key
from kilowatch.clock import SystemClock
from kilowatch.errors import EngineUnavailable
from kilowatch.observe.logs import configure_logging
from kilowatch.settings import Settings, refuse_insecure
from kilowatch.stream.client import Client
from kilowatch.stream.commands import CommandWire
from kilowatch.stream.log import Log
from kilowatch.stream.mqtt import MqttInbox

INBOX_MAX_BYTES = 1024**3
ENGINES_WITHIN_S = 60.0
RETRY_S = 0.05


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs a process's coroutine, on uvloop where there is one."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def until_told() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def migrate(settings: Settings) -> str | None:
    """Brings tables, lake and streams to what this version needs; returns the tables' revision."""
    from kilowatch.lake.connection import prepare_lake
    from kilowatch.postgres.migrate import upgrade

    addresses = find_addresses(settings)
    deadline = time.monotonic() + (ENGINES_WITHIN_S if ADDRESSES in os.environ else 0.0)
    while True:
        try:
            revision = upgrade(addresses.owner_url)
            run_loop(_ensure_streams(settings, addresses))
            break
        except EngineUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_S)  # the supervisor starts the engines at this very moment
    prepare_lake(find_lake(settings, addresses))
    return revision


async def _ensure_streams(settings: Settings, addresses: Addresses) -> None:
    client = await Client.connect(addresses.nats_url, name="migrate")
    try:
        await Log(client).ensure(max_bytes=settings.log_max_bytes)
    finally:
        await client.close()
    client = await Client.connect(addresses.mqtt_nats_url, name="migrate")
    try:
        await MqttInbox.ensure(client, max_bytes=INBOX_MAX_BYTES)
        await CommandWire.ensure(client)
    finally:
        await client.close()


def serve(settings: Settings, *, doors_only: bool, demo: bool) -> None:
    """Runs the HTTP server; with `doors_only` just the paths that readings come in by."""
    refuse_insecure(settings, demo=demo)
    # Loaded before the addresses are known, because a supervisor's child waits for those.
    from kilowatch.ingest import doors  # noqa: F401
    from kilowatch.lake import reading  # noqa: F401
    from kilowatch.server import app, run  # noqa: F401

    configure_logging(settings.log_level)
    keep_freed_memory()
    addresses = find_addresses(settings)
    run_loop(_serve(settings, addresses, doors_only=doors_only, demo=demo))


async def _serve(settings: Settings, addresses: Addresses, *, doors_only: bool, demo: bool) -> None:
    from kilowatch.accounts.access_token import AccessTokens, find_token_key
    from kilowatch.accounts.identity import Authenticator
    from kilowatch.ingest.connection import connection_class
    from kilowatch.ingest.doors import create_doors
    from kilowatch.postgres.engine import Database
    from kilowatch.server.credentials import find_header
    from kilowatch.server.run import make_server
    from kilowatch.stream.issuer import find_issuer
    from kilowatch.stream.logins import Logins

    clock = SystemClock()
    database = Database(addresses.app_url)
    client = await Client.connect(addresses.nats_url, name="server")
    inbox = MqttInbox(addresses.mqtt_nats_url, "server", clock)
    system = None
    tokens = AccessTokens(find_token_key(settings), clock)
    authenticator = Authenticator(database, clock, tokens=tokens)
    try:
        if addresses.mqtt_system_url is not None:
            system = await Client.connect(addresses.mqtt_system_url, name="server")
        if doors_only:
            beyond, before_end = None, _nothing
        else:
            key = await make_demo_keys(settings, database) if demo else None
            identity = (authenticator, tokens)
            application = await _application(settings, addresses, database, client, identity, inbox, key)
            beyond, before_end = application.app, application.stop
        doors = create_doors(
            settings,
            clock,
            database,
            client,
            authenticator=authenticator,
            inbox=inbox,
            logins=None if system is None else Logins(system, find_issuer(settings, clock)),
            beyond=beyond,
            find_header=find_header,
        )
        await doors.start()
        server = make_server(
            doors,
            before_end,
            settings.host,
            settings.port,
            http=connection_class(doors),
            trusted_proxies=settings.trusted_proxies,
        )
        settle_memory()
        thrift = asyncio.create_task(give_back_when_quiet())
        try:
            await server.serve()
        finally:
            thrift.cancel()
            await doors.stop()
    finally:
        if system is not None:
            await system.close()
        await client.close()
        await database.close()


async def _application(
    settings: Settings,
    addresses: Addresses,
    database: Any,
    client: Client,
    identity: Any,
    inbox: MqttInbox,
    demo_key: str | None,
) -> Any:
    """The API, the live feed and the page."""
    import kilowatch
    from kilowatch.accounts.mail import choose_mail
    from kilowatch.ingest.documented import PATHS
    from kilowatch.lake.reading import LakeReader
    from kilowatch.lake.recall import Recall
    from kilowatch.server import app, health, limits

    clock = SystemClock()
    authenticator, tokens = identity
    lake = await asyncio.to_thread(LakeReader, find_lake(settings, addresses), recall=Recall())
    parts = app.Parts(
        database=database,
        lake=lake,
        stream=client,
        authenticator=authenticator,
        tokens=tokens,
        mail=choose_mail(settings),
        session_days=settings.session_days,
        mqtt_port=settings.mqtt_port or None,
        price_per_kwh=settings.price_per_kwh,
        private_hosts=settings.notify_private_hosts,
        rates=limits.Rates(
            settings.user_requests_per_minute,
            settings.key_requests_per_minute,
            settings.auth_requests_per_minute,
        ),
        login_tries=settings.login_tries,
        cors_origins=settings.cors_origins,
        clock=clock,
        probes={
            "postgres": health.probe_postgres(database),
            "lake": health.probe_lake(lake),
            "log": health.probe_log(Log(client), clock, settings.lag_max_s),
            "mqtt": health.probe_inbox(inbox, clock),
            "disk": health.probe_disk(settings.data, settings.disk_full_percent),
        },
        page=Path(kilowatch.__file__).parent / "web" / "dist",
        simulator_key=find_simulator_key(settings),
        demo_key=demo_key,
        documented_doors=PATHS,
    )
    return app.create_app(parts)


def _find_seal(settings: Settings) -> Any:
    """What addresses of channels are sealed with."""
    from kilowatch.accounts.access_token import AccessTokens, find_token_key
    from kilowatch.notifications.seal import PURPOSE, Seal

    return Seal(AccessTokens(find_token_key(settings), SystemClock()).derive_key(PURPOSE))


def _sender(settings: Settings) -> Any:
    """What sends to channels."""
    from kilowatch.accounts.mail import choose_mail
    from kilowatch.notifications.sender import Sender

    return Sender(choose_mail(settings), private_hosts=settings.notify_private_hosts)


async def _nothing() -> None:
    """Ends nothing: the doors alone have no live connections."""


def work(settings: Settings, numbers: list[int], *, with_jobs: bool) -> None:
    """Runs a worker on these partitions, and the jobs in the same process where wanted."""
    refuse_insecure(settings)
    from kilowatch.worker import process, upkeep  # noqa: F401 - loaded while a supervisor still prepares

    configure_logging(settings.log_level)
    keep_freed_memory()
    run_loop(_work(settings, find_addresses(settings), numbers, with_jobs=with_jobs))


async def _work(settings: Settings, addresses: Addresses, numbers: list[int], *, with_jobs: bool) -> None:
    from kilowatch.worker.process import Engines, Worker

    stop = until_told()
    settle_memory()
    engines = Engines(addresses.worker_url, addresses.nats_url, find_lake(settings, addresses))
    thrift = asyncio.create_task(give_back_when_quiet())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Worker(engines, settings, numbers).run(stop))
            if with_jobs:
                tasks.create_task(_keep(settings, addresses, stop))
    finally:
        thrift.cancel()


def keep(settings: Settings) -> None:
    """Runs the scheduled jobs, and sends commands to devices."""
    refuse_insecure(settings)
    configure_logging(settings.log_level)
    run_loop(_keep_alone(settings, find_addresses(settings)))


async def _keep_alone(settings: Settings, addresses: Addresses) -> None:
    from kilowatch.worker.process import tell_figures

    client = await Client.connect(addresses.nats_url, name="jobs' figures")
    telling = asyncio.create_task(tell_figures(client, "jobs"))
    try:
        await _keep(settings, addresses, until_told())
    finally:
        telling.cancel()
        await client.close()


async def _keep(settings: Settings, addresses: Addresses, stop: asyncio.Event) -> None:
    from kilowatch.notifications.courier import Courier
    from kilowatch.postgres.engine import Database
    from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
    from kilowatch.worker.dispatcher import Dispatcher
    from kilowatch.worker.upkeep import Upkeep, run_jobs

    async def publish(event: LiveEvent) -> None:
        await client.publish(EVENTS_SUBJECT, event.encode())

    database = Database(addresses.worker_url)
    client = await Client.connect(addresses.nats_url, name="jobs")
    place = find_lake(settings, addresses)
    clock = SystemClock()
    jobs = Upkeep(place, addresses.worker_url, database, client, settings, clock)
    dispatcher = Dispatcher(addresses.worker_url, addresses.mqtt_nats_url, database, client, clock)
    courier = Courier(database, _find_seal(settings), _sender(settings), clock, publish)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run_jobs(jobs, stop))
            tasks.create_task(dispatcher.run(stop))
            tasks.create_task(courier.run(stop))
    finally:
        await client.close()
        await database.close()
