"""`kw storage`: what the lake weighs, per table and per metric, and merging at once."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from kilowatch.cli.instance import Addresses
from kilowatch.cli.places import find_addresses, find_lake
from kilowatch.cli.processes import run_loop
from kilowatch.clock import SystemClock
from kilowatch.errors import EngineUnavailable
from kilowatch.lake.connection import LakePlace, open_lake
from kilowatch.lake.upkeep import TableWeight, rows_per_series, weigh
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.worker.store import OwnedSeries, list_owned_series
from kilowatch.worker.upkeep import Upkeep

TURN_WITHIN_S, TURN_EVERY_S = 60.0, 0.5
GONE = "(gone)"
"""The metric of series whose device does not exist any more."""


def show_storage(settings: Settings, *, merge: bool, as_json: bool) -> None:
    """Prints what the lake of the running instance weighs, after merging where wanted."""
    found: list[dict[str, Any]] = []

    async def run() -> None:
        found.append(await examine(settings, find_addresses(settings), merge=merge))

    run_loop(run())
    console = Console()
    if as_json:
        console.print_json(json.dumps(found[0]))
    else:
        show(console, found[0])


async def examine(settings: Settings, addresses: Addresses, *, merge: bool) -> dict[str, Any]:
    """The facts.

    Raises:
        EngineUnavailable: if an engine is away, or other upkeep runs when merging is wanted.
    """
    place = find_lake(settings, addresses)
    database = Database(addresses.worker_url, pool_size=1)
    try:
        if merge:
            await _merge(settings, addresses, database, place)
        series = await list_owned_series(database)
    finally:
        await database.close()
    return await asyncio.to_thread(_ask_lake, place, series)


async def _merge(settings: Settings, addresses: Addresses, database: Database, place: LakePlace) -> None:
    client = await Client.connect(addresses.nats_url, name="storage")
    try:
        upkeep = Upkeep(place, addresses.worker_url, database, client, settings, SystemClock())
        with Console(stderr=True).status("merging"):
            await _wait_for_turn(upkeep)
    finally:
        await client.close()


async def _wait_for_turn(upkeep: Upkeep) -> None:
    """Merges as soon as the jobs of the worker leave the lake alone, which do something every minute."""
    deadline = time.monotonic() + TURN_WITHIN_S
    while not await upkeep.merge_all():
        if time.monotonic() > deadline:
            raise EngineUnavailable("another process does the lake's upkeep just now; try again in a minute")
        await asyncio.sleep(TURN_EVERY_S)


def _ask_lake(place: LakePlace, series: Sequence[OwnedSeries]) -> dict[str, Any]:
    connection = open_lake(place, read_only=True)
    try:
        return describe(weigh(connection), rows_per_series(connection), series)
    finally:
        connection.close()


def describe(
    weights: Sequence[TableWeight], per_series: Sequence[tuple[int, int]], series: Sequence[OwnedSeries]
) -> dict[str, Any]:
    """Rows, files and bytes per table; samples per metric, whose bytes are its share by number."""
    samples = next(weight for weight in weights if weight.table == "samples")
    each = samples.bytes / samples.rows if samples.rows else None
    names = {one.series_no: one.metric for one in series}
    metrics: dict[str, int] = {}
    for series_no, rows in per_series:
        metric = names.get(series_no, GONE)
        metrics[metric] = metrics.get(metric, 0) + rows
    return {
        "tables": [
            {"table": one.table, "rows": one.rows, "files": one.files, "bytes": one.bytes} for one in weights
        ],
        "metrics": [
            {"metric": metric, "samples": rows, "bytes": round(rows * (each or 0.0))}
            for metric, rows in sorted(metrics.items(), key=lambda found: (-found[1], found[0]))
        ],
        "bytes": sum(one.bytes for one in weights),
        "samples": samples.rows,
        "bytes_per_sample": None if each is None else round(each, 3),
        "bytes_per_sample_with_rollups": None
        if each is None
        else round(sum(one.bytes for one in weights) / samples.rows, 3),
    }


def show(console: Console, facts: dict[str, Any]) -> None:
    """Prints the facts for people."""
    tables = Table("table", "rows", "files", "bytes", box=None, pad_edge=False)
    for one in facts["tables"]:
        tables.add_row(one["table"], f"{one['rows']:,}", f"{one['files']:,}", f"{one['bytes']:,}")
    console.print(tables)
    if facts["bytes_per_sample"] is None:
        console.print("no samples yet")
        return
    console.print(
        f"\n{facts['bytes_per_sample']} bytes a sample, "
        f"{facts['bytes_per_sample_with_rollups']} with roll-ups and ledger\n"
    )
    metrics = Table("metric", "samples", "bytes (its share)", box=None, pad_edge=False)
    for one in facts["metrics"]:
        metrics.add_row(one["metric"], f"{one['samples']:,}", f"{one['bytes']:,}")
    console.print(metrics)
