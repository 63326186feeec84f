"""`kw bench logins`: how fast devices log in over MQTT, each with a token of its own, and stay.

Every device opens a connection and keeps it. At the end one of them gets a new token, and it is measured how
soon the old connection is closed while all the others are there.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress

from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import (
    ORGANISATION,
    BenchFailed,
    Instance,
    running_instance,
    temporary_folder,
)
from kilowatch.cli.bench.mqtt_client import CONNACK, connect_packet
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.cli.bench.tally import percentiles_ms

CONNACK_BYTES = 4
CLOSED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    devices: int = 5000
    at_a_time: int = 64
    """Devices that are logging in at the same time."""


@dataclass(slots=True)
class Crowd:
    """Devices, and what became of their logins."""

    port: int
    tokens: dict[str, str]
    waits_s: list[float] = field(default_factory=list)
    refused: int = 0
    connections: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=dict)

    async def log_in(self, at_a_time: int) -> float:
        """Logs all in; returns the seconds."""
        turn = asyncio.Semaphore(at_a_time)

        async def one(device: str, token: str) -> None:
            async with turn:
                await self._connect(device, token)

        began = time.monotonic()
        await asyncio.gather(*(one(device, token) for device, token in self.tokens.items()))
        return time.monotonic() - began

    async def _connect(self, device: str, token: str) -> None:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        user = f"{ORGANISATION}/{device}"
        writer.write(connect_packet(user, user, token))
        answer = await reader.read(CONNACK_BYTES)
        if len(answer) == CONNACK_BYTES and answer[0] == CONNACK and not answer[3]:
            self.waits_s.append(time.monotonic() - began)
            self.connections[device] = (reader, writer)
        else:
            self.refused += 1
            writer.close()

    async def time_end(self, device: str, instance: Instance, key: str) -> float:
        """Seconds from the answer to a new token until the device's connection is closed."""
        reader, _ = self.connections.pop(device)
        url = f"{instance.url}/api/v1/devices/{device}/token"
        headers = {"Authorization": f"Bearer {key}"}
        answer = await asyncio.to_thread(instance.http.post, url, headers=headers)
        if answer.status_code != 201:
            raise BenchFailed(f"no new token: {answer.status_code} {answer.text}")
        began = time.monotonic()
        try:
            async with asyncio.timeout(CLOSED_WITHIN_S):
                with suppress(ConnectionError):
                    await reader.read()
        except TimeoutError:
            raise BenchFailed(f"a connection outlived its token by {CLOSED_WITHIN_S:.0f} s") from None
        return time.monotonic() - began

    async def leave(self) -> None:
        """Closes every connection."""
        for _, writer in self.connections.values():
            writer.close()


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, lets everybody log in, and returns all figures.

    Raises:
        BenchFailed: if an instance cannot be had, or a right that has ended did not end its connection.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place) as instance:
            bars.update(starting, description=f"making {wish.devices:,} devices and tokens")
            key = instance.create_key()
            arguments = (str(instance.data), ORGANISATION, str(wish.devices))
            tokens = instance.ask("kilowatch.cli.bench.tokens", *arguments)
            bars.remove_task(starting)
            result = asyncio.run(_run(instance, wish, tokens, key, bars))
    return {"bench": "logins", **result, "load_after": round(os.getloadavg()[0], 2), "machine": machine}


async def _run(
    instance: Instance, wish: Wish, tokens: dict[str, str], key: str, bars: Progress
) -> dict[str, Any]:
    crowd = Crowd(int(instance.run["mqtt_port"]), tokens)
    bar = bars.add_task("logging in", total=None, said="")
    before = instance.cpu_seconds()
    seconds = await crowd.log_in(wish.at_a_time)
    spent = spent_between(before, instance.cpu_seconds())
    bars.update(bar, description="ending one login")
    ended_s = (
        await crowd.time_end(next(iter(crowd.connections)), instance, key) if crowd.connections else None
    )
    memory = instance.memory_mb()
    await crowd.leave()
    bars.remove_task(bar)
    return {
        "devices": wish.devices,
        "at_a_time": wish.at_a_time,
        "let_in": len(crowd.waits_s),
        "refused": crowd.refused,
        "seconds": round(seconds, 3),
        "logins_per_minute": round(len(crowd.waits_s) / seconds * 60),
        "login_ms": percentiles_ms(crowd.waits_s),
        "ended_after_ms": None if ended_s is None else round(ended_s * 1000, 1),
        "cpu_s_per_thousand": {part: round(s / wish.devices * 1e3, 3) for part, s in spent.items()},
        "memory_mb": memory,
    }


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    took = f"{result['let_in']:,} in {result['seconds']:.1f} s, {result['at_a_time']} at a time"
    return [
        ("logins", f"[bold]{result['logins_per_minute']:,} a minute[/bold] ({took})"),
        ("refused", f"{result['refused']:,}"),
        ("login", spread(result["login_ms"])),
        ("a login ended after its token", f"{result['ended_after_ms']} ms"),
        ("CPU per thousand logins", shares(result["cpu_s_per_thousand"], "s", 2)),
        ("memory (PSS), all connected", shares(result["memory_mb"], "MB", 0)),
        ("load average after", f"{result['load_after']}"),
    ]
