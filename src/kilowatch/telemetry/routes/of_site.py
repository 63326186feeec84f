"""HTTP for reading back what belongs to a site: its energy, and readings of several of its devices at once.

Keeps true: every form of an answer has the same rows.
"""

import asyncio
import itertools
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Depends, Header, Query, Response

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.clock import Clock
from kilowatch.errors import Problem
from kilowatch.ids import require_device_id
from kilowatch.postgres.engine import Connection
from kilowatch.sites.device import Device
from kilowatch.sites.store import get_device, get_site
from kilowatch.telemetry import documents, forms, query, site_energy, store
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.moment import read_span
from kilowatch.telemetry.routes.readings import (
    FORMS,
    Back,
    Moment,
    all_devices,
    choose_series,
    retention_of,
    send_form,
    told_resolution,
)
from kilowatch.telemetry.source import Series
from kilowatch.wire.address import API

SITE_POINTS = 200
"""Most buckets of a site's energy when the resolution is left to us."""
MOST_DEVICES = 100
"""Whose readings one answer may have."""

Ids = Annotated[
    str | None,
    Query(
        description="Ids of devices, joined by commas; without it: all.", max_length=6500, pattern="^[ -~]*$"
    ),
]


def make_routes(access: Access, lake: query.Lake, clock: Clock, price_per_kwh: Decimal) -> APIRouter:
    """The routes of this room; price_per_kwh: of sites that say nothing of theirs."""
    routes = APIRouter(prefix=API)
    back = Back(access, lake, clock)
    _add_energy_route(routes, back, price_per_kwh)
    _add_readings_route(routes, back)
    return routes


def _add_energy_route(routes: APIRouter, back: Back, price_per_kwh: Decimal) -> None:
    @routes.get(
        "/sites/{site_id}/energy",
        tags=["readings"],
        response_model=documents.SiteEnergyShown,
        responses={200: FORMS},
    )
    async def read_site_energy(
        site_id: uuid.UUID,
        caller: Annotated[Caller, Depends(back.access.may("readings", "read"))],
        start: Moment = None,
        end: Moment = None,
        devices: Ids = None,
        resolution: Literal["auto", "15m", "1h", "1d", "1mo"] = "auto",
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Energy of a site's devices, each and in total, in Wh; hours, days and months are the site's. The
        forms of tables have a row for each device and bucket."""
        form = forms.require_form(accept)
        async with back.access.database.scope(caller.sight) as connection:
            site = await get_site(connection, site_id)
            wanted = await _choose_devices(connection, site_id, devices)
            series = await store.list_series(connection, [device.device_no for device in wanted])
            retention = await retention_of(connection, caller)
        span = read_span(start, end, back.clock.now_us(), site.time_zone)
        of_device = {one.device_no: one.series_no for one in series if one.metric == ENERGY}
        counted = [device for device in wanted if device.device_no in of_device]
        price = price_per_kwh if site.price_per_kwh is None else site.price_per_kwh

        def answer() -> Response:
            numbers = [of_device[device.device_no] for device in counted]
            tier = resolution
            if tier == "auto":
                tier = site_energy.choose_energy_tier(back.lake, numbers, span, SITE_POINTS, retention)
            site_energy.refuse_too_many(span, tier, len(numbers))
            energy = site_energy.read_energy(back.lake, numbers, span, tier)
            if form == "json":
                document = documents.encode_site_energy(site, price, span, counted, energy)
                return Response(document, media_type=forms.JSON_TYPE)
            return send_form(form, "energy", _rows_of_energy(counted, energy))

        return await asyncio.to_thread(answer)


def _rows_of_energy(devices: Sequence[Device], energy: site_energy.SiteEnergy) -> Iterator[pa.RecordBatch]:
    for device, part in zip(devices, energy.parts, strict=True):
        if len(part.bucket_us):
            yield forms.rows_of_energy(device.id, part.bucket_us, part.energy_uwh)


def _add_readings_route(routes: APIRouter, back: Back) -> None:
    @routes.get(
        "/sites/{site_id}/readings",
        tags=["readings"],
        response_model=documents.ReadingsOfSite,
        responses={200: FORMS},
    )
    async def read_site_readings(
        site_id: uuid.UUID,
        caller: Annotated[Caller, Depends(back.access.may("readings", "read"))],
        start: Moment = None,
        end: Moment = None,
        devices: Ids = None,
        metrics: Annotated[str | None, Query(description="Names, joined by commas.", max_length=4000)] = None,
        resolution: query.Resolution = "auto",
        agg: Annotated[
            query.Agg | None, Query(description="Without it: what suits the metric's kind.")
        ] = None,
        limit_points: Annotated[int, Query(ge=1, le=100_000, description="Holds for `auto`.")] = 1000,
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Readings of up to 100 devices of a site, by default of the last 24 hours, all with the same
        resolution. A device without a metric that was asked for has no series of it."""
        form = forms.require_form(accept)
        async with back.access.database.scope(caller.sight) as connection:
            site = await get_site(connection, site_id)
            wanted = await _choose_devices(connection, site_id, devices)
            if len(wanted) > MOST_DEVICES:
                detail = f"The site has {len(wanted):,} devices; name up to {MOST_DEVICES} in `devices`."
                raise Problem(422, "too_many_devices", detail)
            series = await store.list_series(connection, [device.device_no for device in wanted])
            retention = await retention_of(connection, caller)
        refs = [_refs_of(device, series, metrics) for device in wanted]
        span = read_span(start, end, back.clock.now_us(), site.time_zone)

        def answer() -> Response:
            together = list(itertools.chain.from_iterable(refs))
            most = max(1, min(limit_points, query.MOST_POINTS // max(1, len(together))))
            plans = query.plan_series(back.lake, together, span, resolution, agg, most, retention)
            query.refuse_too_many(back.lake, plans, span, streamed=form != "json")
            ordered = iter(plans)
            of_device = [list(itertools.islice(ordered, len(own))) for own in refs]
            if form != "json":
                tables = (
                    forms.read_rows(back.lake, device.id, own, span)
                    for device, own in zip(wanted, of_device, strict=True)
                )
                return send_form(form, "readings", itertools.chain.from_iterable(tables))
            points = iter(query.read_points(back.lake, plans, span))
            found = [
                (device, list(itertools.islice(points, len(own))))
                for device, own in zip(wanted, refs, strict=True)
            ]
            told = told_resolution(plans, resolution)
            document = documents.encode_readings_of_site(site_id, told, span, found)
            return Response(document, media_type=forms.JSON_TYPE)

        return await asyncio.to_thread(answer)


def _refs_of(device: Device, series: Sequence[Series], metrics: str | None) -> list[query.SeriesRef]:
    """The device's series that were asked for.

    Raises:
        Problem: 422 `unknown_metric` for what no device of the answer has.
    """
    own = [one for one in series if one.device_no == device.device_no]
    if metrics is None:
        return choose_series(own, None)
    asked = [ref.metric for ref in choose_series(series, metrics)]
    known = {one.metric for one in own} | ({"energy"} if any(one.metric == ENERGY for one in own) else set())
    return choose_series(own, ",".join(name for name in asked if name in known))


async def _choose_devices(connection: Connection, site_id: uuid.UUID, ids: str | None) -> list[Device]:
    """The named devices of the site, or all.

    Raises:
        Problem: 404 for one that is not there, 422 `too_many_devices`.
    """
    if ids is None:
        return await all_devices(connection, site_id, None)
    names = list(dict.fromkeys(name.strip() for name in ids.split(",") if name.strip()))
    if len(names) > MOST_DEVICES:
        raise Problem(422, "too_many_devices", f"Name up to {MOST_DEVICES} devices.")
    found = [await get_device(connection, require_device_id(name)) for name in names]
    for device in found:
        if device.site_id != site_id:
            raise Problem(404, "not_found", f"The site has no device {device.id!r}.")
    return found
