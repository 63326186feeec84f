"""`kw verify`: proves that everything accepted is where the ledger says, and that every tier agrees.

Owns the order of the questions and how the answer is shown; what must hold is in `telemetry.ledger`.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from kilowatch.cli.places import find_addresses, find_lake
from kilowatch.cli.processes import run_loop
from kilowatch.clock import MICROSECONDS, SystemClock, rfc3339, to_us
from kilowatch.errors import StartRefused
from kilowatch.lake.audit import FINER, Audit, Span, audit, count_messages
from kilowatch.lake.connection import LakePlace
from kilowatch.lake.reading import LakeReader
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.telemetry.ledger import (
    Account,
    LedgerFault,
    Messages,
    account_faults,
    kept_faults,
    message_faults,
    repeated_faults,
    tier_faults,
)
from kilowatch.worker.store.registry import OwnedSeries, list_owned_series

EVERYTHING = Span()
DAY_US = 86_400 * MICROSECONDS
MARGIN_DAYS = 2
"""The youngest days of those that retention is about to take are left out: it takes them while we look."""
LOOKS = 40
LOOK_EVERY_S = 0.25
"""A log in motion is looked at until a moment at which ledger and log speak of the same messages."""
SHOWN_ACCOUNTS = 30
SHOWN_FAULTS = 100

WITHOUT_ENERGY = ("1m", "15m")
"""Tiers that are compared with tables in which energy has no rows."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be verified: a span of time, one organisation (slug), devices of one id; all without."""

    span: Span = EVERYTHING
    organisation: str | None = None
    device: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether the whole ledger belongs to it."""
        return self.span.is_everything and self.organisation is None and self.device is None


@dataclass(slots=True)
class Report:
    """What was found. tiers: per tier the series compared and their values; messages: None where only a
    part is verified."""

    accounts: list[Account] = field(default_factory=list)
    device_names: dict[int, str] = field(default_factory=dict)
    tiers: dict[str, dict[str, int]] = field(default_factory=dict)
    messages: Messages | None = None
    faults: list[LedgerFault] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {
            "ok": self.holds,
            "totals": totals(self.accounts),
            "accounts": [
                asdict(account) | {"device": self.device_names.get(account.device_no)}
                for account in self.accounts
            ],
            "tiers": self.tiers,
            "messages": None
            if self.messages is None
            else asdict(self.messages) | {"missing": self.messages.missing},
            "faults": [asdict(fault) for fault in self.faults],
        }


COUNTS = ("readings", "accepted", "stored", "replaced", "repeats", "dead_letters", "forgotten")


def totals(accounts: Iterable[Account]) -> dict[str, int]:
    """The sums of all counts."""
    rows = list(accounts)
    return {name: sum(getattr(account, name) for account in rows) for name in COUNTS}


def read_span(start: str | None, end: str | None) -> Span:
    """The span from the options.

    Raises:
        StartRefused: if one is no time.
    """
    return Span(
        EVERYTHING.start_us if start is None else _read_time(start, "--start"),
        EVERYTHING.end_us if end is None else _read_time(end, "--end"),
    )


def _read_time(text: str, option: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise StartRefused(f"{option} {text!r} is no time; write it like 2026-11-20T12:00:00Z.") from error
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def verify(settings: Settings, scope: Scope, as_json: bool) -> bool:
    """Verifies the running instance and prints the report; whether everything holds."""
    addresses = find_addresses(settings)
    found: list[Report] = []

    async def run() -> None:
        database = Database(addresses.worker_url, pool_size=1)
        client = await Client.connect(addresses.nats_url, name="verify")
        try:
            place = find_lake(settings, addresses)
            found.append(await examine(database, client, place, scope, SystemClock().now_us()))
        finally:
            await client.close()
            await database.close()

    run_loop(run())
    console = Console()
    if as_json:
        console.print_json(json.dumps(found[0].as_dict()))
    else:
        show(console, found[0], scope)
    return found[0].holds


async def examine(database: Database, client: Client, place: LakePlace, scope: Scope, now_us: int) -> Report:
    """Asks everything that `scope` covers.

    Raises:
        EngineUnavailable: if an engine is away.
        StartRefused: if nothing is called so.
    """
    series = await list_owned_series(database, scope.organisation, scope.device)
    if not series and not (scope.organisation is None and scope.device is None):
        raise StartRefused("There is no such organisation or device, or it has no series.")
    report = await asyncio.to_thread(_ask_lake, place, series, scope, now_us)
    if scope.is_everything:
        report.messages = await count_log(client, place)
        report.faults += message_faults(report.messages)
    return report


def _ask_lake(place: LakePlace, series: Sequence[OwnedSeries], scope: Scope, now_us: int) -> Report:
    report = Report(device_names={one.device_no: f"{one.organisation}/{one.device}" for one in series})
    names = {one.series_no: f"{one.organisation}/{one.device} {one.metric}" for one in series}
    with audit(place) as lake:
        every = [Account(**row) for row in lake.accounts(scope.span)]
        only = None if scope.organisation is None and scope.device is None else report.device_names.keys()
        report.accounts = [one for one in every if only is None or one.device_no in only]
        report.faults += account_faults(report.accounts, report.device_names)
        if scope.span.is_everything:
            report.faults += kept_faults(report.accounts, _kept(lake, series), report.device_names)
        for tier, finer in FINER.items():
            compared = report.tiers[tier] = {"series": 0, "values": 0}
            for part, span in _by_retention(series, tier, finer, scope.span, now_us):
                rows = lake.compare(tier, part, span)
                report.faults += tier_faults(tier, finer, rows, names)
                compared["series"] += len(rows)
                compared["values"] += sum(row["count"] for row in rows)
        for part, span in _by_retention(series, "1m", "samples", scope.span, now_us):
            report.faults += repeated_faults(lake.repeated(part, span), names)
    return report


def _kept(lake: Audit, series: Sequence[OwnedSeries]) -> dict[int, int]:
    """Device number -> values that the last tier tells of."""
    per_series = lake.kept_per_series()
    kept: dict[int, int] = {}
    for one in series:
        if not one.is_energy:
            kept[one.device_no] = kept.get(one.device_no, 0) + per_series.get(one.series_no, 0)
    return kept


def _by_retention(
    series: Sequence[OwnedSeries], tier: str, finer: str, span: Span, now_us: int
) -> list[tuple[pa.Table, Span]]:
    """The series in groups that are kept equally long, each with the part of `span` that both tables still
    hold. Energy has no samples, so it is compared from 15 minutes on."""
    groups: dict[int, list[int]] = {}
    for one in series:
        if one.is_energy and tier in WITHOUT_ENERGY:
            continue
        days = min(_days_kept(one, tier), _days_kept(one, finer.removeprefix("rollups_")))
        groups.setdefault(days, []).append(one.series_no)
    found = []
    for days, numbers in groups.items():
        held = Span(max(span.start_us, now_us - (days - MARGIN_DAYS) * DAY_US), span.end_us)
        if held.start_us < held.end_us:
            found.append((pa.table({"series_no": pa.array(numbers, pa.int32())}), held))
    return found


def _days_kept(one: OwnedSeries, tier: str) -> int:
    match tier:
        case "samples" | "1m":
            return one.raw_days
        case "1d":
            return one.daily_days
        case _:
            return one.hourly_days


async def count_log(client: Client, place: LakePlace) -> Messages:
    """The log against the ledger, at a moment at which both speak of the same messages.

    While the worker is at work the two are read at different moments; then it is looked again, and only what
    is wrong while nothing moves is a fault.
    """
    log = Log(client)
    reader = await asyncio.to_thread(LakeReader, place)
    try:
        for _ in range(LOOKS):
            state = await log.state()
            counted = await asyncio.to_thread(count_messages, reader, state.created_us)
            settled = [await log.count_settled(number, last) for number, (_, last) in counted.items()]
            total = sum(messages for messages, _ in counted.values())
            messages = Messages(total, state.messages, sum(settled), state.last_sequence)
            if messages.missing == 0:
                break
            await asyncio.sleep(LOOK_EVERY_S)
            again = await asyncio.to_thread(count_messages, reader, state.created_us)
            if again == counted and await log.state() == state:
                break
    finally:
        reader.close()
    return messages


def show(console: Console, report: Report, scope: Scope) -> None:
    """Prints the report for people."""
    table = Table("key", "device", *(name.replace("_", " ") for name in COUNTS), box=None, pad_edge=False)
    busiest = sorted(report.accounts, key=lambda account: -account.accepted)[:SHOWN_ACCOUNTS]
    for account in busiest:
        name = report.device_names.get(account.device_no, f"device {account.device_no}")
        table.add_row(str(account.key_no), name, *(f"{getattr(account, count):,}" for count in COUNTS))
    if len(report.accounts) > len(busiest):
        table.add_row("", f"and {len(report.accounts) - len(busiest):,} more")
    sums = totals(report.accounts)
    table.add_row("", "[bold]total[/bold]", *(f"[bold]{sums[count]:,}[/bold]" for count in COUNTS))
    console.print(table)
    for tier, compared in report.tiers.items():
        against = FINER[tier].replace("rollups_", "")
        console.print(
            f"{tier} against {against}: {compared['values']:,} values of {compared['series']:,} series"
        )
    if report.messages is not None:
        counted = report.messages
        console.print(
            f"log: {counted.last_sequence:,} messages taken, {counted.counted:,} counted, "
            f"{counted.waiting:,} waiting"
        )
    if not scope.span.is_everything:
        console.print(
            f"ledger by the time of its commits, {_shown(scope.span)}; tiers by the readings' times"
        )
    for fault in report.faults[:SHOWN_FAULTS]:
        console.print(f"[red]{fault.check}[/red]  {fault.where}: {fault.detail}", highlight=False)
    if len(report.faults) > SHOWN_FAULTS:
        console.print(f"[red]and {len(report.faults) - SHOWN_FAULTS} more[/red]")
    console.print("[green]everything holds[/green]" if report.holds else "[red]this does not hold[/red]")


def _shown(span: Span) -> str:
    start = "the beginning" if span.start_us == EVERYTHING.start_us else rfc3339(span.start_us)
    end = "now" if span.end_us == EVERYTHING.end_us else rfc3339(span.end_us)
    return f"{start} to {end}"
