"""HTTP for dead letters: what was refused, how much of it, and discarding it. Replaying is the doors' work.

Keeps true that nothing is discarded by a request that says of nothing which letters it means.
"""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.errors import Problem
from kilowatch.observe import metrics
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.telemetry import documents
from kilowatch.telemetry.store import letters
from kilowatch.wire.address import API

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
WORD = r"^[A-Za-z0-9_-]{1,64}$"
Word = Annotated[str | None, Query(pattern=WORD)]
AT_ONCE = 10_000


class Discarding(BaseModel):
    """Which letters go: those that fit all that is given, the oldest first."""

    model_config = ConfigDict(extra="forbid")

    device: str | None = Field(None, pattern=WORD)
    door: str | None = Field(None, pattern=WORD)
    code: str | None = Field(None, pattern=WORD)
    replayed: bool | None = None
    most: int = Field(AT_ONCE, ge=1, le=AT_ONCE, strict=True)


class Discarded(BaseModel):
    """What became of it."""

    discarded: int = Field(description="As many as `most`: there may be more.")


def make_letter_routes(access: Access) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["dead letters"])
    _add_reading(routes, access)
    _add_discarding(routes, access)
    return routes


def _add_reading(routes: APIRouter, access: Access) -> None:
    @routes.get("/dead-letters")
    async def list_dead_letters(
        caller: Annotated[Caller, Depends(access.may("dead_letters", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        device: Word = None,
        door: Word = None,
        code: Word = None,
        replayed: bool | None = None,
    ) -> documents.DeadLetters:
        """Refused readings, newest first."""
        async with access.database.scope(caller.sight) as connection:
            page = await letters.list_dead_letters(
                connection, limit, cursor, replayed, device=device, door=door, code=code
            )
        return documents.DeadLetters.model_validate(page)

    @routes.get("/dead-letters/summary")
    async def summarise_dead_letters(
        caller: Annotated[Caller, Depends(access.may("dead_letters", "read"))],
    ) -> documents.DeadLetterSummary:
        """How many readings were refused, by door and reason: those that wait and those replayed."""
        async with access.database.scope(caller.sight) as connection:
            found = await letters.summarise_dead_letters(connection)
        return documents.DeadLetterSummary.model_validate(
            {
                "waiting": sum(one.waiting for one in found),
                "replayed": sum(one.replayed for one in found),
                "items": found,
            }
        )

    @routes.get("/dead-letters/{letter_id}")
    async def get_dead_letter(
        letter_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("dead_letters", "read"))]
    ) -> documents.DeadLetterShown:
        """One refused reading."""
        async with access.database.scope(caller.sight) as connection:
            letter = await letters.get_dead_letter(connection, letter_id)
        return documents.DeadLetterShown.model_validate(letter)


def _add_discarding(routes: APIRouter, access: Access) -> None:
    @routes.post("/dead-letters/discard")
    async def discard_dead_letters(
        wanted: Discarding, caller: Annotated[Caller, Depends(access.may("dead_letters", "delete"))]
    ) -> Discarded:
        """Throws refused readings away: of a device, a door or a reason, or all that were replayed."""
        narrowed = wanted.model_dump(exclude={"most"}, exclude_none=True)
        if not narrowed:
            detail = "Say which letters are meant: by device, door, code or replayed."
            raise Problem(422, "nothing_named", detail)
        async with access.database.scope(caller.sight) as connection:
            count = await letters.discard_dead_letters(connection, wanted.most, **narrowed)
            if count:
                await record_by(connection, caller, "dead_letters.discarded", discarded=count, **narrowed)
        metrics.DEAD_LETTERS_HANDLED.labels("discarded").inc(count)
        return Discarded(discarded=count)

    @routes.delete("/dead-letters/{letter_id}", status_code=204)
    async def delete_dead_letter(
        letter_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("dead_letters", "delete"))]
    ) -> None:
        """Throws a refused reading away."""
        async with access.database.scope(caller.sight) as connection:
            await letters.delete_dead_letter(connection, letter_id)
            await record_by(connection, caller, "dead_letter.deleted", letter_id)
        metrics.DEAD_LETTERS_HANDLED.labels("discarded").inc()
