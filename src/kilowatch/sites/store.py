"""Sites and devices in PostgreSQL.

Keeps true: an organisation always has a site, the oldest being the home of devices that register
themselves; a device's number never changes and is never used again. Row-level security decides whose rows
are seen.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, delete, literal, literal_column, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from kilowatch.accounts.store.api_keys import delete_api_key
from kilowatch.accounts.store.organisations import (
    Organisation,
    create_organisation,
    get_organisation,
)
from kilowatch.errors import Fault, Problem
from kilowatch.ids import DEVICE_ID, new_id
from kilowatch.postgres.engine import Connection, look_up_by_index
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.sites.device import DEFAULT_TYPE, DEVICE_STATES, DemoDevice, Device, device_faults, toggled
from kilowatch.sites.site import Site, region_faults, site_faults
from kilowatch.sites.tables import device_sightings, devices, sites

# By its text: within RETURNING the devices of the statement would else be taken for others of their own.
_DEVICE_NO: ColumnElement[int] = literal_column(str(devices.c.device_no.compile()), Integer)
LAST_SEEN = (
    select(device_sightings.c.last_seen)
    .where(device_sightings.c.device_no == _DEVICE_NO)
    .scalar_subquery()
    .label("last_seen")
)
DEVICE_COLUMNS = [*(column for column in devices.c if column.name != "token_hash"), LAST_SEEN]
SITE_CHANGEABLE = frozenset(
    {"kind", "name", "time_zone", "currency", "region", "icon", "metadata", "price_per_kwh", "voice"}
)
DEVICE_CHANGEABLE = frozenset(
    {"site_id", "name", "type", "room", "icon", "rated_power_w", "idle_threshold_w"}
    | {"region", "metadata", "status"}
)


async def create_organisation_with_home(
    connection: Connection, organisation_id: uuid.UUID, slug: str, name: str, time_zone: str = "UTC"
) -> tuple[Organisation, Site]:
    """A new organisation and its first site, in a transaction scoped to its own (new) id.

    Raises:
        Problem: 422, or 409 `slug_taken`.
    """
    organisation = await create_organisation(connection, organisation_id, slug, name)
    return organisation, await create_site(connection, organisation_id, "home", "Home", time_zone)


async def create_site(
    connection: Connection,
    organisation_id: uuid.UUID,
    kind: str,
    name: str,
    time_zone: str = "UTC",
    currency: str = "EUR",
    region: str | None = None,
    **more: Any,
) -> Site:
    """A new site; `more` are its icon, metadata, price and voice.

    Raises:
        Problem: 422 with all that is wrong, or `unknown_region`.
    """
    values = {"kind": kind, "name": name, "time_zone": time_zone, "currency": currency, "region": region}
    values |= more
    faults = _unchangeable(more, SITE_CHANGEABLE) + site_faults(values)
    _refuse(faults, "The site cannot be made like this.")
    await _check_region(connection, organisation_id, values)
    made = insert(sites).values(id=new_id(), organisation_id=organisation_id, **values).returning(sites)
    return Site(**(await connection.execute(made)).mappings().one())


async def list_sites(
    connection: Connection, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Site]:
    """The sites, in the order of their making."""
    query = select(sites).order_by(sites.c.created_at, sites.c.id).limit(check_limit(limit) + 1)
    if cursor is not None:
        made_at, site_id = read_cursor(cursor, tuple[datetime, uuid.UUID])
        query = query.where(
            tuple_(sites.c.created_at, sites.c.id) > tuple_(literal(made_at), literal(site_id))
        )
    found = [Site(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda site: (site.created_at, site.id))


async def get_site(connection: Connection, site_id: uuid.UUID) -> Site:
    """The site of this id.

    Raises:
        Problem: 404.
    """
    row = (await connection.execute(select(sites).where(sites.c.id == site_id))).mappings().one_or_none()
    if row is None:
        raise _no_site(site_id)
    return Site(**row)


async def update_site(connection: Connection, site_id: uuid.UUID, changes: Mapping[str, Any]) -> Site:
    """Changes the given fields. A new time zone or currency holds from now on; what was rolled up stays.

    Raises:
        Problem: 404, or 422 with all that is wrong, or `unknown_region`.
    """
    faults = _unchangeable(changes, SITE_CHANGEABLE) + site_faults(changes)
    _refuse(faults, "The site cannot be changed like this.")
    site = await get_site(connection, site_id)
    if not changes:
        return site
    await _check_region(connection, site.organisation_id, changes)
    changed = update(sites).where(sites.c.id == site_id).values(**changes).returning(sites)
    row = (await connection.execute(changed)).mappings().one_or_none()
    if row is None:
        raise _no_site(site_id)
    return Site(**row)


async def delete_site(connection: Connection, site_id: uuid.UUID) -> None:
    """Removes a site, its devices and everything that they told.

    Raises:
        Problem: 404; 409 when it is the organisation's last: devices that register themselves need a home.
    """
    site = await get_site(connection, site_id)
    # All sites of the organisation are locked, so that two deletions cannot each leave the other's.
    locked = select(sites.c.id).where(sites.c.organisation_id == site.organisation_id).order_by(sites.c.id)
    others = (await connection.execute(locked.with_for_update())).all()
    if len(others) < 2:
        raise Problem(409, "last_site", "This is the organisation's only site; make another one first.")
    await connection.execute(delete(devices).where(devices.c.site_id == site_id))
    gone = await connection.execute(delete(sites).where(sites.c.id == site_id))
    if gone.rowcount == 0:
        raise _no_site(site_id)
    if site.demo_key_no is not None:
        await delete_api_key(connection, site.demo_key_no)


async def create_device(
    connection: Connection,
    organisation_id: uuid.UUID,
    device_id: str,
    site_id: uuid.UUID | None = None,
    **fields: Any,
) -> Device:
    """A new device; without a site in the organisation's oldest, without a name called like its id.

    Raises:
        Problem: 422 with all that is wrong, or `unknown_site`, `unknown_region`; 409 `device_exists`.
    """
    values = {"id": device_id, "name": device_id, "type": DEFAULT_TYPE, **fields}
    faults = _unchangeable(fields, DEVICE_CHANGEABLE) + device_faults(values)
    _refuse(faults, "The device cannot be made like this.")
    await _check_region(connection, organisation_id, values)
    values["site_id"] = await _site_for(connection, organisation_id, site_id)
    made = (
        insert(devices)
        .values(organisation_id=organisation_id, **values)
        .on_conflict_do_nothing(index_elements=["organisation_id", "id"])
        .returning(*DEVICE_COLUMNS)
    )
    row = (await connection.execute(made)).mappings().one_or_none()
    if row is None:
        raise Problem(409, "device_exists", f"There is a device {device_id!r} already; choose another id.")
    return Device(**row)


async def list_devices(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    **equal_to: Any,
) -> Page[Device]:
    """The devices in the order of their making; `equal_to` narrows by columns such as `site_id` or `room`."""
    query = select(*DEVICE_COLUMNS).order_by(devices.c.device_no).limit(check_limit(limit) + 1)
    query = query.where(*(devices.c[name] == value for name, value in equal_to.items() if value is not None))
    if cursor is not None:
        query = query.where(devices.c.device_no > read_cursor(cursor, int))
    found = [Device(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda device: device.device_no)


async def get_device(connection: Connection, device_id: str) -> Device:
    """The device of this id, in a transaction scoped to its organisation.

    Raises:
        Problem: 404.
    """
    query = select(*DEVICE_COLUMNS).where(devices.c.id == device_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _no_device(device_id)
    return Device(**row)


async def update_device(connection: Connection, device_id: str, changes: Mapping[str, Any]) -> Device:
    """Changes the given fields; `metadata` is replaced as a whole.

    Raises:
        Problem: 404, or 422 with all that is wrong, or `unknown_site`, `unknown_region`.
    """
    faults = _unchangeable(changes, DEVICE_CHANGEABLE) + device_faults(changes)
    _refuse(faults, "The device cannot be changed like this.")
    device = await get_device(connection, device_id)
    if not changes:
        return device
    await _check_region(connection, device.organisation_id, changes)
    if "site_id" in changes:
        await _site_for(connection, device.organisation_id, changes["site_id"])
    changed = update(devices).where(devices.c.device_no == device.device_no).values(**changes)
    row = (await connection.execute(changed.returning(*DEVICE_COLUMNS))).mappings().one_or_none()
    if row is None:
        raise _no_device(device_id)
    return Device(**row)


async def set_state(connection: Connection, device_id: str, state: str | None) -> Device:
    """Switches a device; without a state to the other one. It is locked, so that two pushes of a button at
    once leave it as it was.

    Raises:
        Problem: 404, or 422 for a state that is none.
    """
    if state is not None and state not in DEVICE_STATES:
        fault = Fault("bad_state", f"state is one of {', '.join(DEVICE_STATES)}.", pointer="/state")
        _refuse([fault], "The device cannot be switched like this.")
    locked = select(devices.c.device_no, devices.c.state).where(devices.c.id == device_id).with_for_update()
    device = (await connection.execute(locked)).one_or_none()
    if device is None:
        raise _no_device(device_id)
    wanted = toggled(device.state) if state is None else state
    changed = update(devices).where(devices.c.device_no == device.device_no).values(state=wanted)
    return Device(**(await connection.execute(changed.returning(*DEVICE_COLUMNS))).mappings().one())


async def delete_device(connection: Connection, device_id: str) -> int:
    """Removes a device and everything that it told, and returns its number. Its series are noted as vanished,
    and leave the lake with the next round of upkeep.

    Raises:
        Problem: 404.
    """
    gone = delete(devices).where(devices.c.id == device_id).returning(devices.c.device_no)
    device_no = (await connection.execute(gone)).scalar_one_or_none()
    if device_no is None:
        raise _no_device(device_id)
    return int(device_no)


async def find_devices(
    connection: Connection, organisation_id: uuid.UUID, ids: Sequence[str]
) -> dict[str, int]:
    """Id -> number of those devices that exist; for any number of ids in one statement."""
    found = await connection.execute(
        text(
            "SELECT id, device_no FROM kilowatch.devices"
            " WHERE organisation_id = :organisation_id AND id = ANY(CAST(:ids AS text[]))"
        ),
        {"organisation_id": organisation_id, "ids": [name for name in ids if DEVICE_ID.fullmatch(name)]},
    )
    return {row.id: row.device_no for row in found}


# Existing ids are left out before the insert, because a conflict uses up a number; ids are sorted, because
# two callers who insert the same ids in different orders would wait for each other.
REGISTER = text("""
    INSERT INTO kilowatch.devices (organisation_id, id, site_id, name)
    SELECT :organisation_id, fresh.id, home.id, fresh.id
    FROM (
        SELECT DISTINCT id COLLATE "C" AS id FROM unnest(CAST(:ids AS text[])) AS given (id)
        WHERE NOT EXISTS (
            SELECT FROM kilowatch.devices d WHERE d.organisation_id = :organisation_id AND d.id = given.id
        )
    ) fresh,
    (
        SELECT id FROM kilowatch.sites WHERE organisation_id = :organisation_id
        ORDER BY created_at, id LIMIT 1 FOR KEY SHARE
    ) home
    ORDER BY fresh.id
    ON CONFLICT (organisation_id, id) DO NOTHING
""")


async def register_devices(
    connection: Connection, organisation_id: uuid.UUID, ids: Sequence[str]
) -> dict[str, int]:
    """Id -> number of all these devices, those that did not exist made in the organisation's oldest site.

    For any number of ids; ids that are none are left out of the answer. Two callers at once get the same
    numbers.
    """
    proper = [name for name in ids if DEVICE_ID.fullmatch(name)]
    await look_up_by_index(connection)
    await connection.execute(REGISTER, {"organisation_id": organisation_id, "ids": proper})
    return await find_devices(connection, organisation_id, proper)


async def lock_sites(connection: Connection, organisation_id: uuid.UUID) -> list[Site]:
    """All sites of the organisation, oldest first; until the transaction ends nobody changes them."""
    query = select(sites).where(sites.c.organisation_id == organisation_id).order_by(sites.c.id)
    await connection.execute(query.with_for_update())
    # Who waited for the lock has to look again: what the other made was not there before.
    again = select(sites).where(sites.c.organisation_id == organisation_id)
    found = (await connection.execute(again.order_by(sites.c.created_at, sites.c.id))).mappings()
    return [Site(**row) for row in found]


async def set_demo_key(connection: Connection, site_id: uuid.UUID, key_no: int) -> Site:
    """Marks a site as a home to try, whose readings come in by this key.

    Raises:
        Problem: 404.
    """
    changed = update(sites).where(sites.c.id == site_id).values(demo_key_no=key_no).returning(sites)
    row = (await connection.execute(changed)).mappings().one_or_none()
    if row is None:
        raise _no_site(site_id)
    return Site(**row)


async def list_demo_devices(connection: Connection, inner_pad: bytes, outer_pad: bytes) -> list[DemoDevice]:
    """The devices of every home to try, in an unscoped transaction of any role. The pads are those of the
    secret that the homes' keys were derived from; homes of another secret are not told."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.list_demo_devices(:inner_pad, :outer_pad)"),
        {"inner_pad": inner_pad, "outer_pad": outer_pad},
    )
    return [DemoDevice(**row) for row in found.mappings()]


async def _site_for(
    connection: Connection, organisation_id: uuid.UUID, site_id: uuid.UUID | None
) -> uuid.UUID:
    """The given site, if it is the organisation's, or its oldest. Locked against deletion meanwhile."""
    query = select(sites.c.id).where(sites.c.organisation_id == organisation_id)
    if site_id is not None:
        query = query.where(sites.c.id == site_id)
    query = query.order_by(sites.c.created_at, sites.c.id).limit(1).with_for_update(key_share=True, read=True)
    found: uuid.UUID | None = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        detail = "The organisation has no site." if site_id is None else f"There is no site {site_id}."
        raise Problem(422, "unknown_site", detail, [Fault("unknown_site", detail, pointer="/site_id")])
    return found


async def _check_region(
    connection: Connection, organisation_id: uuid.UUID, values: Mapping[str, Any]
) -> None:
    if values.get("region") is None:
        return
    organisation = await get_organisation(connection, organisation_id)
    faults = region_faults(values["region"], organisation.regions)
    if faults:
        raise Problem(422, "unknown_region", faults[0].detail, faults)


def _refuse(faults: list[Fault], detail: str) -> None:
    if faults:
        raise Problem(422, "invalid", detail, faults)


def _unchangeable(changes: Mapping[str, Any], changeable: frozenset[str]) -> list[Fault]:
    return [
        Fault("unknown_field", f"{name} cannot be set.", pointer=f"/{name}")
        for name in changes
        if name not in changeable
    ]


def _no_site(site_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no site {site_id}.")


def _no_device(device_id: str) -> Problem:
    return Problem(404, "not_found", f"There is no device {device_id[:80]!r}.")
