"""HTTP for API keys and for who is calling."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kilowatch.accounts import store
from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX

Scope = Literal["ingest", "read", "control", "admin"]


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

    name: str = Field(min_length=1, max_length=store.NAME_MAX)
    scopes: list[Scope] = Field(min_length=1)
    auto_register: bool = Field(False, description="Whether unknown devices are made when it sends for them.")
    expires_at: AwareDatetime | None = None


class ApiKeys(BaseModel):
    """A page of API keys."""

    model_config = ConfigDict(from_attributes=True)

    items: list[ApiKey]
    next_cursor: str | None


class WhoAmI(BaseModel):
    """The caller: organisation and scopes."""

    organisation_id: uuid.UUID
    organisation: str = Field(description="The organisation's slug.")
    scopes: list[Scope]


def make_routes(access: Access) -> APIRouter:
    """The routes of this room."""
    routes = APIRouter()

    @routes.get("/whoami", tags=["accounts"])
    async def get_caller(caller: Annotated[Caller, Depends(access.reader)]) -> WhoAmI:
        """Says whose credentials these are."""
        return WhoAmI.model_validate(
            {
                "organisation_id": caller.organisation_id,
                "organisation": caller.slug,
                "scopes": sorted(caller.scopes),
            }
        )

    @routes.get("/api-keys", tags=["accounts"])
    async def list_api_keys(
        caller: Annotated[Caller, Depends(access.admin)],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> ApiKeys:
        """The organisation's keys in the order of their making, ended ones too."""
        async with access.database.scope(caller.organisation_id) as connection:
            page = await store.list_api_keys(connection, limit, cursor)
        return ApiKeys.model_validate(page)

    @routes.post("/api-keys", status_code=201, tags=["accounts"])
    async def create_api_key(
        wanted: ApiKeyWanted, caller: Annotated[Caller, Depends(access.admin)]
    ) -> ApiKeyMade:
        """Makes a key; its secret is in this answer and nowhere else."""
        async with access.database.scope(caller.organisation_id) as connection:
            made, secret = await store.create_api_key(
                connection,
                caller.organisation_id,
                wanted.name,
                wanted.scopes,
                wanted.auto_register,
                wanted.expires_at,
            )
        await access.announce(caller.organisation_id, "keys")
        return ApiKeyMade(**ApiKey.model_validate(made).model_dump(), key=secret)

    @routes.delete("/api-keys/{key_id}", status_code=204, tags=["accounts"])
    async def revoke_api_key(key_id: uuid.UUID, caller: Annotated[Caller, Depends(access.admin)]) -> None:
        """Ends a key: within a second it opens nothing any more, and its live connections are closed."""
        async with access.database.scope(caller.organisation_id) as connection:
            await store.revoke_api_key(connection, key_id)
        await access.announce(caller.organisation_id, "keys")

    return routes
