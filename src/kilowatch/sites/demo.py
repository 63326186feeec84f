"""A home to try Kilowatch out with: a site, five devices and a key for their readings, in one transaction.

Keeps true: an organisation has at most one; it has exactly five devices; its key can only send readings, and
nobody keeps that key: it is derived from a secret that the server and the simulator share.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kilowatch.accounts.store.api_keys import create_api_key
from kilowatch.clock import to_us
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.sites import store
from kilowatch.sites.device import DemoDevice, Device
from kilowatch.sites.site import Site
from kilowatch.wire.simulation import ROLES, PlayedDevice, PlayedHome, home_key

NAME = "Demo home"
DEVICE_ID = re.compile(rf"demo-({'|'.join(ROLES)})(?:-\d+)?")
FURNITURE: dict[str, dict[str, Any]] = {
    "fridge": {
        "name": "Fridge",
        "type": "fridge",
        "room": "Kitchen",
        "icon": "fridge",
        "rated_power_w": 160.0,
        "idle_threshold_w": 5.0,
    },
    "heat-pump": {
        "name": "Heat pump",
        "type": "heat-pump",
        "room": "Cellar",
        "icon": "heat-pump",
        "rated_power_w": 3000.0,
        "idle_threshold_w": 25.0,
    },
    "television": {
        "name": "Television",
        "type": "television",
        "room": "Living room",
        "icon": "tv",
        "rated_power_w": 120.0,
        "idle_threshold_w": 2.0,
    },
    "washing-machine": {
        "name": "Washing machine",
        "type": "washing-machine",
        "room": "Bathroom",
        "icon": "washing-machine",
        "rated_power_w": 2200.0,
        "idle_threshold_w": 2.0,
    },
    "lights": {
        "name": "Lights",
        "type": "lights",
        "room": "All rooms",
        "icon": "lamp",
        "rated_power_w": 110.0,
        "idle_threshold_w": 1.0,
    },
}


@dataclass(frozen=True, slots=True)
class DemoHome:
    """A home to try and its devices."""

    site: Site
    devices: list[Device]


async def make_demo_home(
    connection: Connection,
    organisation_id: uuid.UUID,
    root: bytes,
    time_zone: str | None = None,
    currency: str | None = None,
) -> DemoHome:
    """A new home to try; without a time zone or currency it has those of the organisation's oldest site.
    `root` is the secret that keys are derived from.

    Raises:
        Problem: 409 `demo_exists`; 422 with all that is wrong.
    """
    there = await store.lock_sites(connection, organisation_id)
    for one in there:
        if one.demo_key_no is not None:
            raise Problem(409, "demo_exists", f"The organisation has a demo home already: {one.id}.")
    oldest = there[0]
    site = await store.create_site(
        connection,
        organisation_id,
        "home",
        NAME,
        oldest.time_zone if time_zone is None else time_zone,
        oldest.currency if currency is None else currency,
    )
    key, _ = await create_api_key(
        connection, organisation_id, NAME, ["ingest"], secret=home_key(root, site.id)
    )
    site = await store.set_demo_key(connection, site.id, key.key_no)
    ids = await _free_ids(connection, organisation_id)
    devices = [
        await store.create_device(connection, organisation_id, ids[role], site.id, **fields)
        for role, fields in FURNITURE.items()
    ]
    return DemoHome(site, devices)


def played_homes(devices: Iterable[DemoDevice]) -> list[PlayedHome]:
    """Devices of homes to try, as the simulator is told of them."""
    homes: dict[uuid.UUID, PlayedHome] = {}
    for one in devices:
        home = homes.get(one.site_id)
        if home is None:
            since_us = to_us(one.made_at)
            home = PlayedHome(str(one.site_id), str(one.organisation_id), one.time_zone, since_us, [])
            homes[one.site_id] = home
        role = DEVICE_ID.fullmatch(one.id)
        if role is not None:
            home.devices.append(PlayedDevice(one.id, role[1], one.state))  # type: ignore[arg-type]
    return list(homes.values())


async def _free_ids(connection: Connection, organisation_id: uuid.UUID) -> dict[str, str]:
    """An id for each role, with the lowest ending that none of them is taken with."""
    number = 1
    while True:
        ending = "" if number == 1 else f"-{number}"
        ids: dict[str, str] = {role: f"demo-{role}{ending}" for role in ROLES}
        if not await store.find_devices(connection, organisation_id, list(ids.values())):
            return ids
        number += 1
