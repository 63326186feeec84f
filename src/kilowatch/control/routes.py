"""HTTP for commands: told, listed, looked at, cancelled."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import new_line, record_by
from kilowatch.clock import Clock, to_datetime
from kilowatch.control.command import (
    COMMAND_NAME,
    EXPIRES_MAX_S,
    EXPIRES_S,
    IDEMPOTENCY_KEY,
    NewCommand,
    command_faults,
)
from kilowatch.control.gather import Gatherer
from kilowatch.control.lifecycle import Status
from kilowatch.control.store import commands as store
from kilowatch.errors import Problem
from kilowatch.ids import DEVICE_ID, new_id
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
DeviceId = Annotated[str, Path(description="The device's id, a slug.", examples=["D1"])]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same command to a device under the same key is stored once. Up to 255 characters.",
    ),
]


class Command(BaseModel):
    """What a device was told to do, and what became of it."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    device: str
    name: str
    arguments: dict[str, Any]
    status: Status
    detail: str | None = Field(description="What the device said.")
    requested_by: str = Field(validation_alias="actor", description="As in the audit log.")
    tries: int = Field(description="How often it was sent.")
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class Commands(BaseModel):
    """A page of commands."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Command]
    next_cursor: str | None


class CommandWanted(BaseModel):
    """What a device shall do."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        description="`set_state`, `toggle`, `set_power`, or a name of the device's own.",
        pattern=f"^{COMMAND_NAME.pattern}$",
        examples=["set_state"],
    )
    arguments: dict[str, Any] = Field(default_factory=dict, examples=[{"state": "off"}])
    expires_in_s: int = Field(
        EXPIRES_S, ge=1, le=EXPIRES_MAX_S, description="How long it is worth trying, in seconds."
    )


class CommandQueued(BaseModel):
    """A command that is stored."""

    id: uuid.UUID
    status: Literal["queued"]


def make_routes(access: Access, clock: Clock, wake: Callable[[], Awaitable[None]]) -> APIRouter:
    """The routes of this room. wake: says to whoever sends commands that one waits."""
    routes = APIRouter(prefix=API)
    _add_asking(routes, access, clock, wake)
    _add_looking(routes, access)
    _add_cancelling(routes, access, clock, wake)
    return routes


def _add_asking(routes: APIRouter, access: Access, clock: Clock, wake: Callable[[], Awaitable[None]]) -> None:
    gatherer = Gatherer(access.database, wake)

    @routes.post("/devices/{device_id}/commands", status_code=202, tags=["commands"])
    async def send_command(
        device_id: DeviceId,
        wanted: CommandWanted,
        caller: Annotated[Caller, Depends(access.may("commands", "create"))],
        key: Key = None,
    ) -> CommandQueued:
        """Stores a command for a device; it is sent in its turn, again and again until the device answers or
        it expires."""
        _require_key(key)
        faults = command_faults(wanted.name, wanted.arguments, wanted.expires_in_s)
        if faults:
            raise Problem(422, "invalid", "The command cannot be sent like this.", faults)
        command = NewCommand(
            new_id(),
            _device_id(device_id),
            wanted.name,
            wanted.arguments,
            to_datetime(clock.now_us()),
            wanted.expires_in_s,
            key,
            caller.actor,
            caller.user_id,
        )
        line = new_line(
            "command.created",
            actor=caller.actor,
            organisation_id=caller.organisation_id,
            user_id=caller.user_id,
            subject=command.id,
            detail={"device": command.device, "name": command.name},
        )
        stored = await gatherer.store(caller.organisation_id, command, line)
        if not stored.earlier:
            await access.tell(stored.command.event(clock.now_us()))
        return CommandQueued(id=stored.command.id, status="queued")


def _add_looking(routes: APIRouter, access: Access) -> None:
    @routes.get("/devices/{device_id}/commands", tags=["commands"])
    async def list_device_commands(
        device_id: DeviceId,
        caller: Annotated[Caller, Depends(access.may("commands", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        status: Status | None = None,
    ) -> Commands:
        """A device's commands, newest first."""
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_commands(
                connection, limit, cursor, status=status, device=_device_id(device_id)
            )
        return Commands.model_validate(page)

    @routes.get("/commands", tags=["commands"])
    async def list_commands(
        caller: Annotated[Caller, Depends(access.may("commands", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        status: Status | None = None,
        device_id: str | None = None,
    ) -> Commands:
        """Commands to all devices that the caller sees, newest first."""
        device = None if device_id is None else _device_id(device_id)
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_commands(connection, limit, cursor, status=status, device=device)
        return Commands.model_validate(page)

    @routes.get("/commands/{command_id}", tags=["commands"])
    async def get_command(
        command_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("commands", "read"))]
    ) -> Command:
        """One command."""
        async with access.database.scope(caller.sight) as connection:
            return Command.model_validate(await store.get_command(connection, command_id))


def _add_cancelling(
    routes: APIRouter, access: Access, clock: Clock, wake: Callable[[], Awaitable[None]]
) -> None:
    @routes.post("/commands/{command_id}/cancel", tags=["commands"])
    async def cancel_command(
        command_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("commands", "change"))]
    ) -> Command:
        """Ends a command that was not sent yet; one that was is past cancelling."""
        now_us = clock.now_us()
        async with access.database.scope(caller.sight) as connection:
            cancelled = await store.cancel_command(connection, command_id, to_datetime(now_us))
            detail = {"device": cancelled.device, "name": cancelled.name}
            await record_by(connection, caller, "command.cancelled", command_id, **detail)
        await wake()
        await access.tell(cancelled.event(now_us))
        return Command.model_validate(cancelled)


def _require_key(key: str | None) -> None:
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        detail = "Idempotency-Key has 1 to 255 printable ASCII characters, without blanks around them."
        raise Problem(400, "bad_idempotency_key", detail)


def _device_id(text: str) -> str:
    """The id itself; what can be no device's id is not there (PostgreSQL would refuse some of it)."""
    if not DEVICE_ID.fullmatch(text):
        raise Problem(404, "not_found", f"There is no device {text[:80]!r}.")
    return text
