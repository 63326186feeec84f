"""`kw org`: organisations of the running instance, made, listed and deleted by whoever runs it."""

from typing import Any

from kilowatch.accounts.store import audit, organisations
from kilowatch.cli.instance import Addresses
from kilowatch.cli.registry import ACTOR, announce, opened, organisation_of, run_with
from kilowatch.clock import rfc3339, to_us
from kilowatch.errors import StartRefused
from kilowatch.ids import new_id
from kilowatch.settings import Settings
from kilowatch.sites.store import create_organisation_with_home


def make_organisation(settings: Settings, slug: str, name: str | None) -> dict[str, Any]:
    """Makes an organisation with a first site.

    Raises:
        Problem: 409 if the slug is taken, 422 with all that is wrong.
    """

    async def make(addresses: Addresses) -> dict[str, Any]:
        organisation_id = new_id()
        async with opened(addresses.app_url) as database, database.scope(organisation_id) as connection:
            made, _ = await create_organisation_with_home(connection, organisation_id, slug, name or slug)
            await audit.record(
                connection, "organisation.created", actor=ACTOR, organisation_id=organisation_id,
                subject=organisation_id, detail={"slug": slug},
            )  # fmt: skip
        return _facts(made)

    return run_with(settings, make)


def list_organisations(settings: Settings) -> list[dict[str, Any]]:
    """Every organisation, oldest first."""

    async def find(addresses: Addresses) -> list[dict[str, Any]]:
        async with opened(addresses.worker_url) as database, database.unscoped() as connection:
            return [_facts(one) for one in await organisations.list_organisations(connection)]

    return run_with(settings, find)


def drop_organisation(settings: Settings, slug: str, *, yes: bool) -> dict[str, Any]:
    """Deletes an organisation with all that is in it.

    Raises:
        StartRefused: without `yes`, or if it is missing.
    """
    if not yes:
        raise StartRefused(
            f"This deletes {slug!r} with its sites, devices, readings, keys and members for ever; say --yes."
        )

    async def drop(addresses: Addresses) -> dict[str, Any]:
        async with opened(addresses.app_url) as database:
            found = await organisation_of(database, slug)
            async with database.scope(found.id) as connection:
                await organisations.delete_organisation(connection, found.id)
                await audit.record(
                    connection, "organisation.deleted", actor=ACTOR, subject=found.id, detail={"slug": slug}
                )
        await announce(addresses, found.id, "organisations")
        return {"id": str(found.id), "slug": slug, "deleted": True}

    return run_with(settings, drop)


def _facts(one: organisations.Organisation) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "slug": one.slug,
        "name": one.name,
        "regions": one.regions,
        "retention_raw_days": one.retention_raw_days,
        "retention_hourly_days": one.retention_hourly_days,
        "retention_daily_days": one.retention_daily_days,
        "created_at": rfc3339(to_us(one.created_at)),
    }
