"""The application: every route, one error shape, and what starts and stops with it.

The composition root gives it its parts and serves it (see `run.py`). Keeps true that word of a change goes
out only after the change stands, and that this process hears its own changes even while NATS is away.
"""

import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute

from kilowatch import __version__
from kilowatch.accounts.access import Access, Rows
from kilowatch.accounts.access_token import AccessTokens
from kilowatch.accounts.attempts import Attempts
from kilowatch.accounts.gate import Gate
from kilowatch.accounts.identity import Authenticator
from kilowatch.accounts.mail import Mail, NoMail
from kilowatch.accounts.people import People
from kilowatch.accounts.postage import Postage
from kilowatch.accounts.routes.assignments import make_assignment_routes
from kilowatch.accounts.routes.audit import make_audit_routes
from kilowatch.accounts.routes.belonging import make_belonging_routes
from kilowatch.accounts.routes.device_tokens import make_routes as make_device_token_routes
from kilowatch.accounts.routes.keys import make_routes as make_key_routes
from kilowatch.accounts.routes.members import make_member_routes
from kilowatch.accounts.routes.organisations import make_organisation_routes
from kilowatch.accounts.routes.people import make_people_routes
from kilowatch.accounts.routes.second_factor import make_second_factor_routes
from kilowatch.accounts.second_factor import SecondFactors
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.routes.alerts import make_alert_routes
from kilowatch.alerts.routes.detectors import make_detector_routes
from kilowatch.alerts.routes.windows import make_window_routes
from kilowatch.clock import Clock, SystemClock
from kilowatch.control.routes import make_routes as make_command_routes
from kilowatch.errors import EngineUnavailable
from kilowatch.notifications.routes.channels import make_channel_routes
from kilowatch.notifications.routes.inbox import make_inbox_routes
from kilowatch.notifications.routes.preferences import make_preference_routes
from kilowatch.notifications.seal import PURPOSE as CHANNELS
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Sender
from kilowatch.postgres.engine import Database
from kilowatch.rules.routes import make_routes as make_rule_routes
from kilowatch.server import health, simulation, stage, worlds
from kilowatch.server.body_limit import BodyLimit
from kilowatch.server.credentials import Credentials
from kilowatch.server.entrance import Entrance
from kilowatch.server.limits import Limits, Rates, Turnstile
from kilowatch.server.live import connections
from kilowatch.server.live.client import Pace
from kilowatch.server.live.hub import Hub
from kilowatch.server.live.registry import HouseRegistry
from kilowatch.server.openapi import describe, write_document
from kilowatch.server.page import Page
from kilowatch.server.problems import add_problem_handlers
from kilowatch.sites.routes import make_routes as make_site_routes
from kilowatch.sites.store import create_organisation_with_home
from kilowatch.stream.client import Client, Subscription
from kilowatch.telemetry.query import Lake
from kilowatch.telemetry.routes.letters import make_letter_routes
from kilowatch.telemetry.routes.of_site import make_routes as make_site_history_routes
from kilowatch.telemetry.routes.readings import make_routes as make_telemetry_routes
from kilowatch.wire.address import API
from kilowatch.wire.figures import FIGURES_SUBJECT
from kilowatch.wire.live import (
    COMMANDS_SUBJECT,
    EVENTS_SUBJECT,
    REGISTRY_SUBJECT,
    VALUES_SUBJECT,
    LiveEvent,
    RegistryChange,
)

log = structlog.get_logger()

BODY_BYTES = 1024 * 1024
"""Longest body of a request that is no reading."""
GZIP_FROM_BYTES = 4096
GZIP_LEVEL = 1


@dataclass(slots=True)
class Parts:
    """What the application is made of. Made inside the event loop that serves it."""

    database: Database
    lake: Lake
    stream: Client | None = None
    """None: this process hears no live values and tells nobody of changes."""
    authenticator: Authenticator | None = None
    """The one of this process, where the doors share it."""
    tokens: AccessTokens | None = None
    """Makes and reads the access tokens of people; without it with a key of this process alone."""
    mail: Mail | None = None
    """Where mail to people goes; without it whoever would need it is told that it cannot be had."""
    notices: Notices = field(default_factory=Notices)
    """Who stops telling people of alerts that are looked after."""
    session_days: int = 30
    price_per_kwh: Decimal = Decimal("0.30")
    """What a kWh costs at sites that say nothing of it, in the site's currency."""
    private_hosts: bool = False
    """Whether channels of notifications may reach this machine and private networks."""
    clock: Clock = field(default_factory=SystemClock)
    probes: Mapping[str, health.Probe] = field(default_factory=dict)
    """What `/readyz` asks, by name; see `health.probe_*`."""
    documented_doors: Mapping[str, Any] = field(default_factory=dict)
    """OpenAPI paths that another application of this process answers."""
    page: Path | None = None
    """Folder of the web app, as it was built."""
    simulator_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """The secret shared with the simulator, which homes to try come from."""
    demo_key: str | None = None
    """A key with the scope `read` that browsers of this machine are given on a demo instance."""
    pace: Pace = field(default_factory=Pace)
    rates: Rates = field(default_factory=Rates)
    """How often somebody may ask."""
    login_tries: int = 10
    """Wrong passwords and codes for an account from one address before it has to wait."""
    mqtt_port: int | None = None
    """Where devices reach the MQTT door; None: not known."""
    cors_origins: Sequence[str] = ()
    """Other sites whose pages may ask, with credentials of their own."""


@dataclass(slots=True)
class Application:
    """The application and what has to be started and stopped around it."""

    parts: Parts
    hub: Hub
    app: FastAPI
    _heard: list[Subscription] = field(default_factory=list)

    async def start(self) -> None:
        """Begins to hear what is live.

        Raises:
            EngineUnavailable: if NATS is away.
        """
        self.hub.start()
        stream = self.parts.stream
        if stream is not None:
            told = {
                VALUES_SUBJECT: self.hub.take_values,
                EVENTS_SUBJECT: self.hub.take_event,
                REGISTRY_SUBJECT: self._hear_change,
                FIGURES_SUBJECT: health.hear_worker,
            }
            for subject, take in told.items():
                self._heard.append(await stream.subscribe(subject, _without_subject(take)))
            stream.on_connection(self._on_connection)

    async def stop(self) -> None:
        """Ends all live connections and stops hearing; harmless when done already."""
        await self.hub.close()
        while self._heard:
            await self._heard.pop().stop()

    def _hear_change(self, message: bytes) -> None:
        if self.parts.authenticator is not None:
            self.parts.authenticator.invalidate()
        self.hub.take_change(message)

    def _on_connection(self, connected: bool) -> None:
        if connected:
            # What was said while NATS was away is lost, changes of keys included.
            if self.parts.authenticator is not None:
                self.parts.authenticator.invalidate()
            self.hub.break_off()


def create_app(parts: Parts) -> Application:
    """The application over its parts. Whoever serves it need not start it: its lifespan does."""
    tokens = parts.tokens or AccessTokens(secrets.token_bytes(32), parts.clock)
    if parts.authenticator is None:
        parts.authenticator = Authenticator(parts.database, parts.clock, tokens=tokens)
    limits = Limits(parts.clock, parts.rates)
    credentials = Credentials(parts.authenticator, limits)
    hub = Hub(HouseRegistry(parts.database, parts.lake, parts.clock), pace=parts.pace)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await application.start()
        try:
            yield
        finally:
            await application.stop()

    app = FastAPI(
        title="Kilowatch",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    application = Application(parts, hub, app)
    announce = _announcer(parts, application._hear_change)
    access = Access(parts.database, credentials.may, credentials.anybody, announce, _teller(parts, hub))
    for routes in _rooms(application, access, tokens, credentials, limits):
        # Not by `include_router`, which builds every route once more and walks a tree at each request.
        app.router.routes += map(_named, routes.routes)
    if parts.page is not None:
        app.mount("/", Page(parts.page, parts.demo_key), name="page")
    add_problem_handlers(app, credentials.identify)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(BodyLimit, most=BODY_BYTES)
    app.add_middleware(Turnstile, limits=limits)
    if parts.cors_origins:
        _let_in(app, parts.cors_origins)
    app.add_middleware(Entrance)
    describe(app, parts.documented_doors)
    return application


def _named(route: BaseRoute) -> BaseRoute:
    """The route; what it does is called in documents as its function is."""
    if isinstance(route, APIRoute):
        route.operation_id = route.name
    return route


def _rooms(
    application: Application, access: Access, tokens: AccessTokens, credentials: Credentials, limits: Limits
) -> Iterator[APIRouter]:
    """What each room answers."""
    parts, hub = application.parts, application.hub
    mail = parts.mail or NoMail()
    postage = Postage(parts.clock)
    people = _people(parts, tokens, mail, postage)
    yield make_key_routes(access)
    yield make_people_routes(access, people, limits.count_signing_in)
    yield make_second_factor_routes(access, people, limits.count_signing_in)
    yield make_belonging_routes(access, people)
    yield make_organisation_routes(access, create_organisation_with_home)
    yield make_member_routes(access, mail, postage)
    yield make_assignment_routes(access)
    yield make_audit_routes(access)
    yield credentials.make_routes()
    yield make_site_routes(access, parts.clock)
    yield make_command_routes(access, parts.clock, _waker(parts))
    yield simulation.make_routes(access, parts.lake, parts.simulator_key)
    stages = stage.Stages(parts.stream, _teller(parts, hub))
    hub.streams_of = stages.latest
    yield stage.make_routes(stages, parts.simulator_key)
    yield worlds.make_routes(access, stages)
    yield make_device_token_routes(access, parts.mqtt_port)
    yield make_telemetry_routes(access, parts.lake, parts.clock)
    yield make_site_history_routes(access, parts.lake, parts.clock, parts.price_per_kwh)
    yield make_letter_routes(access)
    yield make_rule_routes(access, parts.lake, parts.clock)
    yield make_alert_routes(access, parts.clock, parts.notices)
    yield make_window_routes(access, parts.clock, parts.notices)
    yield make_detector_routes(access)
    sender = Sender(mail, private_hosts=parts.private_hosts)
    seal = Seal(tokens.derive_key(CHANNELS))
    yield make_inbox_routes(access, parts.clock)
    yield make_channel_routes(access, parts.clock, seal, sender)
    yield make_preference_routes(access)
    yield connections.make_routes(hub, credentials)
    yield health.make_routes(parts.probes)


def _people(parts: Parts, tokens: AccessTokens, mail: Mail, postage: Postage) -> People:
    second_factors = SecondFactors(tokens.derive_key("second factors"), parts.clock)
    gate = Gate(parts.database, Attempts(parts.clock, parts.login_tries), second_factors)
    return People(
        parts.database,
        tokens,
        mail,
        parts.clock,
        parts.session_days,
        create_organisation_with_home,
        gate,
        postage,
    )


def _let_in(app: FastAPI, origins: Sequence[str]) -> None:
    """Lets pages of these sites ask, never with the cookies of this one."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Organisation", "X-Request-Id"],
        expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"],
        allow_credentials=False,
    )


def build_document(doors: Mapping[str, Any]) -> str:
    """The OpenAPI document as it is committed; no engine is asked."""
    parts = Parts(Database("postgresql://127.0.0.1/none"), ClosedLake(), documented_doors=doors)
    return write_document(create_app(parts).app.openapi())


class ClosedLake:
    """A lake that is not open: every question is answered with its absence."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise EngineUnavailable("the lake is not open")

    samples = rollups = latest = ask = _refuse


def _without_subject(take: Callable[[bytes], None]) -> Callable[[str, bytes], None]:
    return lambda _, message: take(message)


def _announcer(parts: Parts, hear: Callable[[bytes], None]) -> Callable[[uuid.UUID, Rows], Awaitable[None]]:
    async def announce(organisation_id: uuid.UUID, rows: Rows) -> None:
        message = RegistryChange(str(organisation_id), rows).encode()
        hear(message)
        if parts.stream is not None:
            try:
                await parts.stream.publish(REGISTRY_SUBJECT, message)
            except EngineUnavailable as error:
                # The change stands. Other processes read everything anew once NATS is back.
                log.warning("registry.change_untold", rows=rows, reason=str(error))

    return announce


def _teller(parts: Parts, hub: Hub) -> Callable[[LiveEvent], Awaitable[None]]:
    async def tell(event: LiveEvent) -> None:
        message = event.encode()
        if parts.stream is None:
            hub.take_event(message)
            return
        try:
            await parts.stream.publish(EVENTS_SUBJECT, message)
        except EngineUnavailable as error:
            # Whoever listens at this process hears of it all the same.
            hub.take_event(message)
            log.warning("live.event_untold", topic=event.topic, reason=str(error))

    return tell


def _waker(parts: Parts) -> Callable[[], Awaitable[None]]:
    async def wake() -> None:
        if parts.stream is not None:
            with suppress(EngineUnavailable):  # whoever sends commands looks by itself now and then
                await parts.stream.publish(COMMANDS_SUBJECT, b"")

    return wake
