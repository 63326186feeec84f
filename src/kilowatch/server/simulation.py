"""HTTP for homes to try: a person makes one, and the simulator learns what to play.

Keeps true that the simulator's doors open to nobody without the secret that it shares with the server, and
that what somebody else shows there is refused as everywhere: 401 for what is not known, 403 for who may not.
"""

import asyncio
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from kilowatch.accounts.access import Access, Rows
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store import audit
from kilowatch.alerts.store.detectors import set_detector
from kilowatch.errors import Problem
from kilowatch.sites import demo
from kilowatch.sites.device import DemoDevice
from kilowatch.sites.routes import Device, Site
from kilowatch.sites.store import list_demo_devices
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.query import Lake, read_latest
from kilowatch.telemetry.store import list_series
from kilowatch.wire.address import API
from kilowatch.wire.simulation import Newest, PlayedHomes, hmac_pads, simulator_token

JSON_TYPE = "application/json"
CHANGED: tuple[Rows, ...] = ("keys", "sites", "devices", "detectors")
"""What making a home changes."""
WATCHED: dict[str, dict[str, float]] = {
    "spike": {"for_s": 20.0},
    "ghost_walk": {"asleep_from_h": 0.0, "asleep_until_h": 24.0, "devices": 4.0},
}
"""Limits of detectors in a home to try: who shows what goes wrong in a home does not wait for five minutes,
nor for the night. By day people stir three devices a day or so, and hardly ever four."""


class DemoHomeWanted(BaseModel):
    """What a home to try shall be like; what is left out is as in the organisation's oldest site."""

    model_config = ConfigDict(extra="forbid")

    time_zone: Annotated[str | None, Field(examples=["Europe/Berlin"])] = None
    currency: Annotated[str | None, Field(examples=["EUR"])] = None


class DemoHome(Site):
    """A home to try and its five devices."""

    devices: list[Device]


class PlayedDeviceShown(BaseModel):
    """A device to be played, and how it is switched."""

    id: str
    role: str
    state: Literal["off", "on", "standby"]


class PlayedHomeShown(BaseModel):
    """A home to be played, and when it was made, in microseconds since 1970."""

    site_id: uuid.UUID
    organisation_id: uuid.UUID
    time_zone: str
    since_us: int
    devices: list[PlayedDeviceShown]


class PlayedHomesShown(BaseModel):
    """Every home to be played."""

    items: list[PlayedHomeShown]


class NewestShown(BaseModel):
    """Until when readings of every device of a home are stored, in microseconds since 1970."""

    newest_us: int | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """What these routes need. root: the secret shared with the simulator."""

    access: Access
    lake: Lake
    root: bytes

    async def simulator(self, request: Request) -> None:
        """Lets the simulator pass.

        Raises:
            Problem: 401 or 403.
        """
        if not is_simulator(request, self.root):
            await self.access.anybody(request)
            raise Problem(403, "not_the_simulator", "This door is for the simulator.")

    async def list_devices(self) -> list[DemoDevice]:
        """The devices of all homes to try."""
        async with self.access.database.unscoped() as connection:
            return await list_demo_devices(connection, *hmac_pads(self.root))


def is_simulator(asker: HTTPConnection, root: bytes) -> bool:
    """Whether who asks shows the simulator's token."""
    shown = asker.headers.get("authorization", "").encode()
    return hmac.compare_digest(shown, f"Bearer {simulator_token(root)}".encode())


def make_routes(access: Access, lake: Lake, root: bytes) -> APIRouter:
    """The routes for homes to try."""
    routes = APIRouter(prefix=API)
    _add_making(routes, access, root)
    _add_simulator_doors(routes, Simulation(access, lake, root))
    return routes


def _add_making(routes: APIRouter, access: Access, root: bytes) -> None:
    @routes.post("/sites/demo", status_code=201, tags=["sites"])
    async def create_demo_home(
        caller: Annotated[Caller, Depends(access.may("sites", "create"))],
        wanted: DemoHomeWanted | None = None,
    ) -> DemoHome:
        """Makes a home to try: five devices, a month of history within seconds, and live readings."""
        given = wanted or DemoHomeWanted()
        async with access.database.scope(caller.sight) as connection:
            made = await demo.make_demo_home(
                connection, caller.organisation_id, root, given.time_zone, given.currency
            )
            for kind, limits in WATCHED.items():
                await set_detector(connection, caller.organisation_id, made.site.id, kind, {"limits": limits})
            await audit.record_by(connection, caller, "demo_home.created", made.site.id)
        for rows in CHANGED:
            await access.announce(caller.organisation_id, rows)
        site = Site.model_validate(made.site).model_dump()
        return DemoHome(**site, devices=[Device.model_validate(one) for one in made.devices])


def _add_simulator_doors(routes: APIRouter, simulation: Simulation) -> None:
    only_simulator = [Depends(simulation.simulator)]

    @routes.get(
        "/simulation/homes",
        tags=["simulation"],
        dependencies=only_simulator,
        response_model=PlayedHomesShown,
        responses={304: {"description": "As in the answer whose ETag was sent as If-None-Match."}},
    )
    async def list_played_homes(request: Request) -> Response:
        """Tells the simulator which homes to play."""
        homes = PlayedHomes(demo.played_homes(await simulation.list_devices()))
        body = msgspec.json.encode(homes)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(body, media_type=JSON_TYPE, headers={"ETag": tag})

    @routes.get(
        "/simulation/homes/{site_id}/newest",
        tags=["simulation"],
        dependencies=only_simulator,
        response_model=NewestShown,
    )
    async def get_newest(site_id: uuid.UUID) -> Response:
        """Tells the simulator until when a home's readings are stored."""
        devices = [one for one in await simulation.list_devices() if one.site_id == site_id]
        if not devices:
            raise Problem(404, "not_found", f"There is no demo home {site_id}.")
        async with simulation.access.database.scope(devices[0].organisation_id) as connection:
            series = await list_series(connection, [one.device_no for one in devices])
        numbers = {one.series_no: one.device_no for one in series if one.metric != ENERGY}
        newest: dict[int, int] = {}
        for series_no, (ts_us, _) in (
            await asyncio.to_thread(read_latest, simulation.lake, list(numbers))
        ).items():
            device_no = numbers[series_no]
            newest[device_no] = max(ts_us, newest.get(device_no, ts_us))
        is_begun = len(newest) == len(devices)
        return Response(
            msgspec.json.encode(Newest(min(newest.values()) if is_begun else None)), media_type=JSON_TYPE
        )
