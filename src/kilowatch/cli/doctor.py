"""`kw doctor`: looks at everything that an instance needs, and says what to do about what is wrong.

Keeps true that one broken part does not hide the others: every check answers by itself.
"""

import asyncio
import json
import os
import socket
import zoneinfo
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from rich.console import Console

from kilowatch.cli.instance import Addresses, RunFile, find_running
from kilowatch.cli.places import find_addresses
from kilowatch.cli.processes import run_loop
from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.observe.disk import look_at_disk, nearest
from kilowatch.postgres.embedded import install_folder
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.embedded import HOST, choose_port, find_server
from kilowatch.stream.log import Log
from kilowatch.stream.mqtt import MqttInbox

ZONES = ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str


Check = Callable[[], Awaitable[str]]


class Unwell(Exception):
    """A check failed; the message says what is wrong and what to do."""


def examine(settings: Settings, as_json: bool) -> bool:
    """Runs every check and prints the findings; whether all is well."""
    findings: list[Finding] = []
    data = Path(os.path.realpath(settings.data))

    async def run() -> None:
        findings.extend(await _findings(settings, find_running(data)))

    run_loop(run())
    well = all(finding.ok for finding in findings)
    console = Console()
    if as_json:
        console.print_json(json.dumps({"ok": well, "checks": [asdict(finding) for finding in findings]}))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = "[green]well[/green]" if finding.ok else "[red]ill [/red]"
            console.print(f"{mark}  {finding.name:{width}}  {finding.detail}", highlight=False)
    return well


async def _findings(settings: Settings, running: RunFile | None) -> list[Finding]:
    checks: dict[str, Check] = {
        "time zones": _check_zones,
        "disk": lambda: _check_disk(settings),
        "programs": lambda: _check_programs(settings),
    }
    if running is None:
        checks["ports"] = lambda: _check_ports(settings)
    external = settings.postgres_url is not None and settings.nats_url is not None
    if running is not None or external:
        addresses = find_addresses(settings)
        checks |= {
            "postgresql": lambda: _check_postgres(addresses),
            "log": lambda: _check_log(addresses),
            "devices' inbox": lambda: _check_inbox(addresses),
        }
    if running is not None:
        checks |= {"server": lambda: _check_server(running), "processes": lambda: _check_pids(running)}
    else:
        checks["instance"] = lambda: _say(f"none runs in {settings.data}; `kw up` starts one")
    return [await _finding(name, check) for name, check in checks.items()]


async def _finding(name: str, check: Check) -> Finding:
    try:
        async with asyncio.timeout(WITHIN_S):
            return Finding(name, True, await check())
    except TimeoutError:
        return Finding(name, False, f"no answer within {WITHIN_S:.0f} s")
    except (Unwell, StartRefused, EngineUnavailable, OSError, httpx.HTTPError) as error:
        return Finding(name, False, str(error) or type(error).__name__)


async def _say(text: str) -> str:
    return text


async def _check_zones() -> str:
    for name in ZONES:
        try:
            zoneinfo.ZoneInfo(name)
        except zoneinfo.ZoneInfoNotFoundError as error:
            raise Unwell(f"no data for the zone {name}; install the package tzdata") from error
    return f"{len(zoneinfo.available_timezones())} zones known"


async def _check_disk(settings: Settings) -> str:
    return await asyncio.to_thread(_look_at_disk, settings)


def _look_at_disk(settings: Settings) -> str:
    folder = nearest(settings.data)
    if not os.access(folder, os.W_OK):
        raise Unwell(f"{folder} cannot be written; choose another folder with --data")
    use = look_at_disk(folder)
    text = f"{use.used_percent:.0f} % of the disk in use, {use.free_bytes / 1e9:.1f} GB free"
    if use.used_percent >= settings.disk_full_percent:
        raise Unwell(f"{text}; readings are refused from {settings.disk_full_percent:g} % on: make room")
    return text


async def _check_programs(settings: Settings) -> str:
    found = []
    if settings.nats_url is None:
        found.append(str(find_server()))
    if settings.postgres_url is None:
        found.append(str(install_folder() / "bin" / "postgres"))
    return ", ".join(found) or "none needed: the engines are external"


async def _check_ports(settings: Settings) -> str:
    choose_port(settings.port, "KILOWATCH_PORT (--port)", settings.host)
    if settings.nats_url is None:
        choose_port(settings.mqtt_port, "KILOWATCH_MQTT_PORT")
    return f"{settings.port} and {settings.mqtt_port} are free"


async def _check_postgres(addresses: Addresses) -> str:
    database = Database(addresses.app_url, pool_size=1)
    try:
        await database.ping()
    finally:
        await database.close()
    return "answers"


async def _check_log(addresses: Addresses) -> str:
    client = await Client.connect(addresses.nats_url, name="kw doctor", timeout_s=3.0)
    try:
        state = await Log(client).state()
    finally:
        await client.close()
    return f"{state.messages} frames wait, {state.bytes / 1e6:.1f} of {state.max_bytes / 1e6:.0f} MB"


async def _check_inbox(addresses: Addresses) -> str:
    client = await Client.connect(addresses.mqtt_nats_url, name="kw doctor", timeout_s=3.0)
    try:
        return f"{await MqttInbox.pending(client)} messages wait"
    finally:
        await client.close()


async def _check_server(running: RunFile) -> str:
    async with httpx.AsyncClient(timeout=WITHIN_S, trust_env=False) as http:
        answer = await http.get(f"{running.url}/readyz")
    if answer.status_code != 200:
        raise Unwell(f"{running.url} is not ready: {answer.text[:500]}")
    return f"{running.url} is ready"


async def _check_pids(running: RunFile) -> str:
    gone = [name for name, pid in running.pids.items() if not _exists(pid)]
    if gone:
        raise Unwell(f"not running just now: {', '.join(gone)}; the supervisor starts them again")
    if running.mqtt_port is not None:
        with socket.create_connection((HOST, running.mqtt_port), WITHIN_S):
            pass
    return ", ".join(f"{name} {pid}" for name, pid in running.pids.items())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
