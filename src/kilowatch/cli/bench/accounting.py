"""`kw bench accounting`: proves that each accepted reading is stored exactly once, whatever is killed.

Numbered readings are sent over every door while processes of the instance are killed at random (SIGKILL, by
the process ids in `run.json`; only ever children of the instance that this run started). Then everything is
read back and compared, number by number, and `kw verify` must agree.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import psutil
from rich.progress import Progress

from kilowatch.cli.bench.figures import describe_machine
from kilowatch.cli.bench.instance import (
    ORGANISATION,
    POLL_S,
    BenchFailed,
    Instance,
    running_instance,
    temporary_folder,
)
from kilowatch.cli.bench.numbered import (
    ANSWER_WITHIN_S,
    DOORS,
    SENDERS,
    Door,
    HttpSender,
    MqttSender,
)
from kilowatch.cli.bench.proof import Account, agree, audit
from kilowatch.cli.bench.report import Row, progress_bars
from kilowatch.clock import SystemClock

VICTIMS = ("server", "worker", "nats", "mqtt", "jobs")
SETTLED_WITHIN_S = 180.0
MQTT_WITHIN_S = 60.0
LOOK_S = 0.25
READINGS_PER_S_MOST = 50_000
"""No door takes more in a run, which decides how far back its times begin."""
FUTURE_MARGIN_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    seconds: float = 300.0
    kill_every_s: float = 5.0
    postgres: bool = False
    """Whether PostgreSQL may be killed as well."""
    seed: int = 1


class Killer:
    """Kills a random process of the instance every so often."""

    def __init__(self, instance: Instance, names: Sequence[str], every_s: float, seed: int) -> None:
        self._instance = instance
        self._every_s = every_s
        self._names = names
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self.killed: Counter[str] = Counter()

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Kills until the time is up."""
        while not is_over():
            await asyncio.sleep(self._every_s)
            if not is_over():
                await asyncio.to_thread(self.kill_one)

    def kill_one(self) -> None:
        """Kills one of those that run now, if it is a child of the instance."""
        pids = self._instance.run["pids"]
        children = {child.pid: child for child in self._instance.process.children(recursive=True)}
        running = [name for name in self._names if pids.get(name) in children]
        if running:
            name = self._rng.choice(running)
            with contextlib.suppress(psutil.NoSuchProcess):
                children[pids[name]].kill()
                self.killed[name] += 1


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Sends, kills, waits, reads back.

    Raises:
        BenchFailed: if an answer made no sense, or the instance did not recover.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place) as instance:
            bars.remove_task(starting)
            headers = {"Authorization": f"Bearer {instance.create_key()}"}
            span_us = int(wish.seconds * READINGS_PER_S_MOST * 1000) + FUTURE_MARGIN_US
            start_us = (SystemClock().now_us() - span_us) // 1_000_000 * 1_000_000
            doors = [Door(name, start_us) for name in DOORS]
            victims = (*VICTIMS, "postgres") if wish.postgres else VICTIMS
            killer = Killer(instance, victims, wish.kill_every_s, wish.seed)
            _register(instance, doors, headers)
            asyncio.run(_send_and_kill(instance, wish, doors, killer, headers, bars))
            recovering = bars.add_task("waiting until all is stored", total=None, said="")
            settled_s = _settle(instance, doors, headers)
            bars.remove_task(recovering)
            accounts = _audit(instance, doors, headers, bars)
            found = instance.tool("verify")
    total = Account()
    for account in accounts.values():
        total.add(account)
    registered = sum(len(door.devices()) for door in doors)
    verified = agree(found, total.stored + total.twice + registered)
    return {
        "bench": "accounting",
        "seconds": wish.seconds,
        "kill_every_s": wish.kill_every_s,
        "killed": dict(killer.killed),
        "settled_s": settled_s,
        **asdict(total),
        "verified": verified,
        "right": total.is_right and verified,
        "doors": {name: asdict(account) for name, account in accounts.items()},
        "machine": machine,
    }


def _register(instance: Instance, doors: Sequence[Door], headers: dict[str, str]) -> None:
    """Makes all devices known, as those that send over MQTT must be; with a metric that is not counted."""
    readings = [{"device": device, "metrics": {"hello": 1.0}} for door in doors for device in door.devices()]
    answer = instance.http.post(f"{instance.url}/api/v1/readings", json=readings, headers=headers)
    if answer.status_code != 202:
        raise BenchFailed(f"the devices were not registered: {answer.text[:300]}")


async def _send_and_kill(
    instance: Instance,
    wish: Wish,
    doors: Sequence[Door],
    killer: Killer,
    headers: dict[str, str],
    bars: Progress,
) -> None:
    """Sends over all doors until the time is up, and then until every request is settled."""
    asyncio.get_running_loop().set_exception_handler(_overlook_broken_connections)
    end = time.monotonic() + wish.seconds
    bar = bars.add_task("sending and killing", total=wish.seconds, said="")

    def is_over() -> bool:
        return time.monotonic() >= end

    async def look() -> None:
        while not is_over():
            sent = sum(door.next for door in doors)
            said = f"{sent:,} readings, {killer.killed.total()} kills"
            bars.update(bar, completed=wish.seconds - (end - time.monotonic()), said=said)
            await asyncio.sleep(LOOK_S)

    async with httpx.AsyncClient(headers=headers, timeout=ANSWER_WITHIN_S) as http:
        try:
            async with asyncio.timeout(wish.seconds + SETTLED_WITHIN_S), asyncio.TaskGroup() as group:
                for sender in _senders(instance, wish, doors, http):
                    group.create_task(sender.run(is_over))
                group.create_task(killer.run(is_over))
                group.create_task(look())
        except TimeoutError:
            raise BenchFailed(f"senders were not answered for {SETTLED_WITHIN_S:.0f} s") from None
        except ExceptionGroup as failures:
            raise BenchFailed(str(failures.exceptions[0])) from failures
    bars.remove_task(bar)


def _overlook_broken_connections(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The MQTT library keeps a future for each connection that nobody asks for once the connection broke."""
    if not isinstance(context.get("exception"), aiomqtt.MqttError):
        loop.default_exception_handler(context)


def _senders(
    instance: Instance, wish: Wish, doors: Sequence[Door], http: httpx.AsyncClient
) -> list[HttpSender | MqttSender]:
    told, key = instance.run, http.headers["Authorization"].removeprefix("Bearer ")
    senders: list[HttpSender | MqttSender] = []
    for door in doors:
        for number in range(SENDERS[door.name]):
            if door.name == "mqtt":
                senders.append(MqttSender(door, told["mqtt_port"], ORGANISATION, key))
            else:
                senders.append(HttpSender(door, http, instance.url, f"{wish.seed}/{door.name}/{number}"))
    return senders


def _settle(instance: Instance, doors: Sequence[Door], headers: dict[str, str]) -> float:
    """Waits until nothing is on its way any more; returns the seconds."""
    began = time.monotonic()
    instance.wait_until_stored()
    (mqtt,) = (door for door in doors if door.name == "mqtt")
    # What the MQTT server acknowledged may still be in the inbox. If it never comes, the audit will tell.
    while audit(mqtt, instance.http, instance.url, headers).lost and time.monotonic() - began < MQTT_WITHIN_S:
        time.sleep(POLL_S)
    instance.wait_until_stored()
    return round(time.monotonic() - began, 2)


def _audit(
    instance: Instance, doors: Sequence[Door], headers: dict[str, str], bars: Progress
) -> dict[str, Account]:
    bar = bars.add_task("reading back", total=len(doors), said="")
    accounts: dict[str, Account] = {}
    for door in doors:
        bars.update(bar, advance=1, said=door.name)
        accounts[door.name] = audit(door, instance.http, instance.url, headers)
    return accounts


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    kills = ", ".join(f"{name} {count}" for name, count in result["killed"].items()) or "none"
    rows = [
        ("ran for", f"{result['seconds']:.0f} s, killed every {result['kill_every_s']:g} s: {kills}"),
        ("all stored", f"{result['settled_s']:.1f} s after the last answer"),
    ]
    for name, account in [*result["doors"].items(), ("[bold]all[/bold]", result)]:
        rows.append((name, _line(account)))
    agrees = "agrees" if result["verified"] else "[red]does not agree[/red]"
    rows.append(("kw verify", agrees))
    rows.append(("", "[green]right[/green]" if result["right"] else "[red]wrong[/red]"))
    return rows


def _line(account: dict[str, Any]) -> str:
    faults = {name: account[name] for name in ("lost", "twice", "refused_stored", "wrong")}
    told = ", ".join(
        f"[red]{name.replace('_', ' but ')} {count:,}[/red]" if count else f"{name.replace('_', ' but ')} 0"
        for name, count in faults.items()
    )
    known = ", ".join(f"{name} {account[name]:,}" for name in ("sent", "accepted", "stored"))
    return f"{known}, {told}; refused {account['refused']:,}, unknown {account['unknown']:,}"
