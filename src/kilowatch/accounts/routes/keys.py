"""HTTP for API keys, and for who is calling."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.rights import RIGHTS, Role, Scope
from kilowatch.accounts.store import api_keys, audit
from kilowatch.ids import NAME_MAX
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API


class ApiKey(BaseModel):
    """An API key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    prefix: str = Field(description="The first characters of the secret, to tell keys apart.")
    scopes: list[Scope]
    auto_register: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiKeyMade(ApiKey):
    """A new API key with its secret, which is shown this once."""

    key: str


class ApiKeyWanted(BaseModel):
    """What a new API key shall be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=NAME_MAX)
    scopes: list[Scope] = Field(min_length=1)
    auto_register: bool = Field(False, description="Whether unknown devices are made when it sends for them.")
    expires_at: AwareDatetime | None = None


class ApiKeys(BaseModel):
    """A page of API keys."""

    model_config = ConfigDict(from_attributes=True)

    items: list[ApiKey]
    next_cursor: str | None


class WhoAmI(BaseModel):
    """The caller: the organisation, and what they may do in it."""

    organisation_id: uuid.UUID
    organisation: str = Field(description="The organisation's slug.")
    role: Role | None = Field(description="Of a person.")
    scopes: list[Scope] = Field(description="Of an API key.")
    rights: list[str] = Field(description="Everything that they may do.", examples=[["sites:read"]])


def make_routes(access: Access) -> APIRouter:
    """The routes of this room."""
    routes = APIRouter(prefix=API)

    @routes.get("/whoami", tags=["accounts"])
    async def get_caller(caller: Annotated[Caller, Depends(access.anybody)]) -> WhoAmI:
        """Says whose credentials these are."""
        return WhoAmI.model_validate(
            {
                "organisation_id": caller.organisation_id,
                "organisation": caller.slug,
                "role": caller.role,
                "scopes": sorted(caller.scopes),
                "rights": [f"{resource}:{verb}" for resource, verb in RIGHTS if caller.may(resource, verb)],
            }
        )

    @routes.get("/api-keys", tags=["accounts"])
    async def list_api_keys(
        caller: Annotated[Caller, Depends(access.may("api_keys", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> ApiKeys:
        """The organisation's keys in the order of their making, ended ones too."""
        async with access.database.scope(caller.sight) as connection:
            page = await api_keys.list_api_keys(connection, limit, cursor)
        return ApiKeys.model_validate(page)

    @routes.post("/api-keys", status_code=201, tags=["accounts"])
    async def create_api_key(
        wanted: ApiKeyWanted, caller: Annotated[Caller, Depends(access.may("api_keys", "create"))]
    ) -> ApiKeyMade:
        """Makes a key; its secret is in this answer and nowhere else."""
        async with access.database.scope(caller.sight) as connection:
            made, secret = await api_keys.create_api_key(
                connection,
                caller.organisation_id,
                wanted.name,
                wanted.scopes,
                wanted.auto_register,
                wanted.expires_at,
            )
            await audit.record_by(
                connection, caller, "api_key.created", made.id, name=made.name, scopes=made.scopes
            )
        await access.announce(caller.organisation_id, "keys")
        return ApiKeyMade(**ApiKey.model_validate(made).model_dump(), key=secret)

    @routes.delete("/api-keys/{key_id}", status_code=204, tags=["accounts"])
    async def revoke_api_key(
        key_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("api_keys", "delete"))]
    ) -> None:
        """Ends a key: within a second it opens nothing any more, and its live connections are closed."""
        async with access.database.scope(caller.sight) as connection:
            await api_keys.revoke_api_key(connection, key_id)
            await audit.record_by(connection, caller, "api_key.revoked", key_id)
        await access.announce(caller.organisation_id, "keys")

    return routes
