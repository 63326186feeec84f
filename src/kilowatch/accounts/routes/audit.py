"""HTTP for the audit log."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store import audit
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API


class AuditLine(BaseModel):
    """Something that somebody did."""

    model_config = ConfigDict(from_attributes=True)

    no: int
    at: datetime
    actor: str = Field(
        description="`user:<id>`, `key:<number>`, `operator` (the command line) or `nobody`.",
        examples=["key:7"],
    )
    user_id: uuid.UUID | None
    action: str = Field(examples=["member.role_changed"])
    subject: str | None = Field(description="What it was done to.")
    detail: dict[str, Any]
    address: str | None = Field(description="Of the request's sender.")
    request_id: str | None


class AuditLog(BaseModel):
    """A page of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    items: list[AuditLine]
    next_cursor: str | None


def make_audit_routes(access: Access) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["organisations"])

    @routes.get("/audit-log")
    async def list_audit_log(
        caller: Annotated[Caller, Depends(access.may("audit_log", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
        action: Annotated[
            str | None,
            Query(
                description="A whole action, or what stands before its point.", pattern=r"^[a-z_.]{1,100}$"
            ),
        ] = None,
        user_id: uuid.UUID | None = None,
    ) -> AuditLog:
        """What was done in the organisation, and how its members signed in, newest first."""
        # Not with the caller's own sight, which has what they did elsewhere, too.
        async with access.database.scope(caller.organisation_id) as connection:
            page = await audit.list_audit_log(connection, limit, cursor, action=action, user_id=user_id)
        return AuditLog.model_validate(page)

    return routes
