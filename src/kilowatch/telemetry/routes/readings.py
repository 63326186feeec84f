"""HTTP for reading back: readings of a device, newest values; and metrics."""

import asyncio
import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.organisations import get_organisation
from kilowatch.clock import Clock, to_datetime, to_us
from kilowatch.errors import Fault, Problem
from kilowatch.ids import METRIC_NAME, require_device_id
from kilowatch.period import DAY_US
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_MAX
from kilowatch.sites.device import Device
from kilowatch.sites.store import get_device, get_site, list_devices
from kilowatch.telemetry import documents, forms, health, query, store
from kilowatch.telemetry.metric import ENERGY, Metric
from kilowatch.telemetry.moment import read_span
from kilowatch.telemetry.source import Series
from kilowatch.telemetry.store import letters
from kilowatch.wire.address import API

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Moment = Annotated[str | None, Query(description="RFC 3339, or milliseconds since 1970.", max_length=64)]
Word = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

FORMS = {
    "content": {
        "text/csv": {"schema": {"type": "string"}},
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    },
    "description": "The same rows in the form that Accept names.",
}


@dataclass(frozen=True, slots=True)
class Back:
    """What reading back needs."""

    access: Access
    lake: query.Lake
    clock: Clock


def make_routes(access: Access, lake: query.Lake, clock: Clock) -> APIRouter:
    """The routes of this room."""
    routes = APIRouter(prefix=API)
    back = Back(access, lake, clock)
    _add_reading_routes(routes, back)
    _add_health_route(routes, back)
    _add_latest_route(routes, back)
    _add_metric_routes(routes, access)
    return routes


# --- readings of a device --------------------------------------------------------------------------------


def _add_reading_routes(routes: APIRouter, back: Back) -> None:
    @routes.get(
        "/devices/{device_id}/readings",
        tags=["readings"],
        response_model=documents.Readings,
        responses={200: FORMS},
    )
    async def read_readings(
        device_id: Annotated[str, Path(description="The device's id.")],
        caller: Annotated[Caller, Depends(back.access.may("readings", "read"))],
        start: Moment = None,
        end: Moment = None,
        metrics: Annotated[str | None, Query(description="Names, joined by commas.", max_length=4000)] = None,
        resolution: query.Resolution = "auto",
        agg: Annotated[
            query.Agg | None, Query(description="Without it: what suits the metric's kind.")
        ] = None,
        limit_points: Annotated[int, Query(ge=1, le=100_000, description="Holds for `auto`.")] = 1000,
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """A device's readings over a span, by default the last 24 hours. Buckets are whole."""
        form = forms.require_form(accept)
        async with back.access.database.scope(caller.sight) as connection:
            device = await get_device(connection, require_device_id(device_id))
            zone = (await get_site(connection, device.site_id)).time_zone
            refs = choose_series(await store.list_series(connection, [device.device_no]), metrics)
            retention = await retention_of(connection, caller)
        span = read_span(start, end, back.clock.now_us(), zone)

        def plan() -> list[query.SeriesPlan]:
            plans = query.plan_series(back.lake, refs, span, resolution, agg, limit_points, retention)
            query.refuse_too_many(back.lake, plans, span, streamed=form != "json")
            return plans

        if form == "json":
            return await asyncio.to_thread(lambda: _answer_json(back, device, plan(), span, resolution))
        return await asyncio.to_thread(lambda: _answer_form(back, form, device, plan(), span))


def choose_series(series: Sequence[Series], names: str | None) -> list[query.SeriesRef]:
    """The series asked for, all when no names are given. `energy` is the metric that the device reports by
    that name, or else its canonical energy.

    Raises:
        Problem: 422 `unknown_metric`, unless the device has no series at all yet.
    """
    known = {one.metric: one for one in series}
    if ENERGY in known:
        known.setdefault("energy", known[ENERGY])
    if names is None:
        return [_ref(one, one.metric) for one in sorted(series, key=lambda one: one.metric == ENERGY)]
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    unknown = [name for name in wanted if name not in known]
    if unknown and series:
        has = ", ".join(sorted(known))
        faults = [
            Fault("unknown_metric", f"The device has no metric {name[:64]!r}.", "/query/metrics")
            for name in unknown
        ]
        raise Problem(422, "unknown_metric", f"The device has the metrics {has}.", faults)
    chosen = {known[name].series_no: _ref(known[name], name) for name in wanted if name in known}
    return list(chosen.values())


def _ref(series: Series, name: str) -> query.SeriesRef:
    kind: query.Kind = "energy" if series.metric == ENERGY else series.kind
    return query.SeriesRef(series.series_no, name, series.unit, kind, tuple(series.states))


def _answer_json(
    back: Back,
    device: Device,
    plans: Sequence[query.SeriesPlan],
    span: query.Span,
    asked: query.Resolution,
) -> Response:
    series = query.read_points(back.lake, plans, span)
    told = told_resolution(plans, asked)
    return Response(documents.encode_readings(device.id, told, span, series), media_type=forms.JSON_TYPE)


def told_resolution(plans: Sequence[query.SeriesPlan], asked: query.Resolution) -> str:
    """The resolution of an answer: that of its readings; canonical energy may be coarser."""
    told = next((plan for plan in plans if plan.ref.kind != "energy"), plans[0] if plans else None)
    return told.resolution if told else asked


def _answer_form(
    back: Back, form: forms.Form, device: Device, plans: Sequence[query.SeriesPlan], span: query.Span
) -> Response:
    rows = forms.read_rows(back.lake, device.id, plans, span)
    return send_form(form, device.id, rows)


def send_form(form: forms.Form, name: str, rows: Iterator[pa.RecordBatch]) -> Response:
    """A file of rows, streamed. The first rows are read before the answer begins, so that a lake that is
    away is still a 503."""
    first: list[pa.RecordBatch] = list(itertools.islice(rows, 1))
    chunks: Iterator[bytes] = forms.write_form(form, itertools.chain(first, rows))
    return StreamingResponse(
        chunks,
        media_type=forms.MEDIA_TYPES[form],
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{forms.SUFFIXES[form]}"',
            "Vary": "Accept",
        },
    )


def _add_health_route(routes: APIRouter, back: Back) -> None:
    @routes.get("/devices/{device_id}/health", tags=["devices"])
    async def read_health(
        device_id: Annotated[str, Path(description="The device's id.")],
        caller: Annotated[Caller, Depends(back.access.may("devices", "read"))],
    ) -> documents.HealthShown:
        """How well a device reported over the last 24 hours: uptime 40 %, completeness 30 %, errors 20 %,
        delay 10 %."""
        now_us = back.clock.now_us()
        async with back.access.database.scope(caller.sight) as connection:
            device = await get_device(connection, require_device_id(device_id))
            series = await store.list_series(connection, [device.device_no])
            # What was refused because there was no such device yet is no fault of the device.
            since = max(to_datetime(now_us - health.SPAN_US), device.created_at)
            dead_letters = await letters.count_dead_letters(connection, device.id, since)
        measured = [one for one in series if one.metric != ENERGY and one.kind != "state"]
        numbers = [one.series_no for one in measured or series if one.metric != ENERGY]

        def judge() -> health.Health:
            minutes, newest_us = query.read_minutes(back.lake, numbers, now_us - health.SPAN_US, now_us)
            seen_us = None if device.last_seen is None else to_us(device.last_seen)
            return health.judge_health(
                health.Observed(
                    now_us, minutes, dead_letters, newest_us, seen_us, device.status == "maintenance"
                )
            )

        return documents.show_health(device, await asyncio.to_thread(judge), now_us)


# --- newest values ---------------------------------------------------------------------


def _add_latest_route(routes: APIRouter, back: Back) -> None:
    @routes.get("/readings/latest", tags=["readings"], response_model=documents.Latest)
    async def read_latest(
        caller: Annotated[Caller, Depends(back.access.may("readings", "read"))],
        site_id: uuid.UUID | None = None,
        limit: Annotated[int | None, Query(ge=1, le=LIMIT_MAX, description="Without it: all.")] = None,
        cursor: str | None = None,
    ) -> Response:
        """The newest value of every metric of every device, or of the devices of one site."""
        async with back.access.database.scope(caller.sight) as connection:
            if site_id is not None:
                await get_site(connection, site_id)
            if limit is None:
                devices, next_cursor = await all_devices(connection, site_id, cursor), None
            else:
                page = await list_devices(connection, limit, cursor, site_id=site_id)
                devices, next_cursor = page.items, page.next_cursor
            series = await store.list_series(connection, [device.device_no for device in devices])
        measured = [one for one in series if one.metric != ENERGY]

        def answer() -> bytes:
            newest = query.read_latest(back.lake, [one.series_no for one in measured])
            return documents.encode_latest(devices, measured, newest, next_cursor)

        return Response(await asyncio.to_thread(answer), media_type=forms.JSON_TYPE)


async def all_devices(connection: Connection, site_id: uuid.UUID | None, cursor: str | None) -> list[Device]:
    """Every device that the caller sees, or those of one site."""
    devices: list[Device] = []
    while True:
        page = await list_devices(connection, LIMIT_MAX, cursor, site_id=site_id)
        devices.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return devices


async def retention_of(connection: Connection, caller: Caller) -> query.Retention:
    """How long the caller's organisation keeps what."""
    organisation = await get_organisation(connection, caller.organisation_id)
    return query.Retention(organisation.retention_raw_days * DAY_US)


# --- metrics ---------------------------------------------------------------------------------------------


def _add_metric_routes(routes: APIRouter, access: Access) -> None:
    @routes.get("/metrics", tags=["metrics"])
    async def list_metrics(
        caller: Annotated[Caller, Depends(access.may("metrics", "read"))],
    ) -> documents.Metrics:
        """Every metric of the organisation, by name."""
        async with access.database.scope(caller.sight) as connection:
            found = await store.find_metrics(connection, caller.organisation_id)
        return documents.Metrics(items=[_show_metric(found[name].metric) for name in sorted(found)])

    @routes.put("/metrics/{name}", tags=["metrics"])
    async def define_metric(
        name: Annotated[str, Path(pattern=f"^{METRIC_NAME.pattern}$")],
        wanted: documents.MetricWanted,
        caller: Annotated[Caller, Depends(access.may("metrics", "change"))],
    ) -> documents.MetricShown:
        """Says what a number means. How values are kept cannot change once there are some: a metric stays
        a state metric or none, and states keep their places."""
        metric = Metric(name, wanted.unit, wanted.kind, tuple(wanted.states), wanted.minimum, wanted.maximum)
        async with access.database.scope(caller.sight) as connection:
            stored = await store.change_metric(connection, caller.organisation_id, metric)
        await access.announce(caller.organisation_id, "metrics")
        return _show_metric(stored.metric)


def _show_metric(metric: Metric) -> documents.MetricShown:
    return documents.MetricShown(
        name=metric.name,
        unit=metric.unit,
        kind=metric.kind,
        states=list(metric.states),
        minimum=metric.minimum,
        maximum=metric.maximum,
    )
