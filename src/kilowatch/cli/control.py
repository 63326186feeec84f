"""`kw command`: commands to devices of the running instance, sent and listed by whoever runs it."""

import asyncio
import json
import uuid
from typing import Any

import structlog

from kilowatch.accounts.store.audit import new_line
from kilowatch.cli.instance import Addresses
from kilowatch.cli.registry import ACTOR, opened, organisation_of, run_with
from kilowatch.clock import SystemClock, to_datetime
from kilowatch.control.command import Command, NewCommand, command_faults
from kilowatch.control.lifecycle import ENDS, Status
from kilowatch.control.store.commands import create_commands, get_command, list_commands
from kilowatch.errors import EngineUnavailable, Fault, Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.wire.live import COMMANDS_SUBJECT, EVENTS_SUBJECT

LOOK_EVERY_S = 0.1

_log = structlog.get_logger(__name__)


def read_arguments(text: str) -> dict[str, Any]:
    """The JSON object in an option.

    Raises:
        Problem: if it is none.
    """
    detail = 'arguments is a JSON object, such as {"state": "off"}.'
    refusal = Problem(422, "bad_arguments", detail, [Fault("bad_arguments", detail, pointer="/arguments")])
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise refusal from error
    if not isinstance(arguments, dict):
        raise refusal
    return arguments


def send(
    settings: Settings,
    slug: str,
    device: str,
    name: str,
    arguments: dict[str, Any],
    expires_in_s: int,
    *,
    wait: bool,
) -> dict[str, Any]:
    """Stores a command, and with `wait` returns once it has ended.

    Raises:
        StartRefused: if the organisation is missing.
        Problem: if the device is, or the command cannot be sent.
    """
    faults = command_faults(name, arguments, expires_in_s)
    if faults:
        raise Problem(422, "invalid", "The command cannot be sent like this.", faults)
    now_us = SystemClock().now_us()
    wanted = NewCommand(
        new_id(), device, name, arguments, to_datetime(now_us), expires_in_s, None, ACTOR, None
    )

    async def work(addresses: Addresses) -> dict[str, Any]:
        async with opened(addresses.app_url) as database:
            organisation = await organisation_of(database, slug)
            line = new_line(
                "command.created",
                actor=ACTOR,
                organisation_id=organisation.id,
                subject=wanted.id,
                detail={"device": device, "name": name},
            )
            async with database.scope(organisation.id) as connection:
                (stored,) = await create_commands(connection, organisation.id, [wanted], [line])
            if isinstance(stored, Problem):
                raise stored
            await _tell(addresses, stored.command, now_us)
            if wait:
                return (await _end_of(database, organisation.id, wanted.id)).document()
        return stored.command.document()

    return run_with(settings, work)


def find(
    settings: Settings, slug: str, device: str | None, status: Status | None, limit: int
) -> list[dict[str, Any]]:
    """The newest commands.

    Raises:
        StartRefused: if the organisation is missing.
        Problem: if the device is.
    """

    async def work(addresses: Addresses) -> list[dict[str, Any]]:
        async with opened(addresses.app_url) as database:
            organisation = await organisation_of(database, slug)
            async with database.scope(organisation.id) as connection:
                page = await list_commands(connection, limit, status=status, device=device)
        return [one.document() for one in page.items]

    return run_with(settings, work)


async def _end_of(database: Database, organisation_id: uuid.UUID, command_id: uuid.UUID) -> Command:
    while True:
        async with database.scope(organisation_id) as connection:
            command = await get_command(connection, command_id)
        if command.status in ENDS:
            return command
        await asyncio.sleep(LOOK_EVERY_S)


async def _tell(addresses: Addresses, command: Command, now_us: int) -> None:
    """Says that a command waits, and what it is; where nobody hears it, it is found a moment later."""
    try:
        client = await Client.connect(addresses.nats_url, name="kw", timeout_s=2.0)
        await client.publish(COMMANDS_SUBJECT, b"")
        await client.publish(EVENTS_SUBJECT, command.event(now_us).encode())
        await client.close()
    except EngineUnavailable as error:
        _log.debug("command_untold", reason=str(error))
