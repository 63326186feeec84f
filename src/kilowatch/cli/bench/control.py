"""`kw bench commands`: how many commands are accepted and delivered, and how long one takes to its device.

Connections send commands, each to devices of its own, so that the order of a device's commands is known; a
gateway answers for all devices at once. Where it is wanted, the processes between them are killed meanwhile.
At the end each accepted command must have been heard, once as far as
its device is concerned, in order, and have succeeded.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import Progress

from kilowatch.cli.bench.accounting import Killer
from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.gateway import Gateway
from kilowatch.cli.bench.http_client import request_head
from kilowatch.cli.bench.instance import (
    ORGANISATION,
    BenchFailed,
    Instance,
    running_instance,
    temporary_folder,
)
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.cli.bench.tally import percentiles_ms

BODY = b'{"name":"set_power","arguments":{"power_w":1500}}'
READY_WITHIN_S = 30.0
ENDED_WITHIN_S = 120.0
BETWEEN = ("worker", "nats", "mqtt")
"""What a command passes through once it is accepted."""
LOOK_EVERY_S = 0.05
UNLIMITED = {"KILOWATCH_KEY_REQUESTS_PER_MINUTE": "0"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say. rate: commands a second over all connections, 0 for as many as are taken."""

    devices: int = 1000
    connections: int = 64
    seconds: float = 20.0
    rate: float = 0.0
    kill_every_s: float = 0.0
    """Seconds between two kills of a process that commands pass through; 0 for none."""
    seed: int = 1


@dataclass(slots=True)
class Sent:
    """What was sent and accepted. order: each device's commands; asked_at: when each was asked for, monotonic
    seconds; waits_s: from asking to the answer."""

    order: dict[str, list[str]] = field(default_factory=dict)
    asked_at: dict[str, float] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)
    last_at: float = 0.0


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, sends commands, and returns all figures.

    Raises:
        BenchFailed: if it cannot be carried out.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place, settings=UNLIMITED) as instance:
            bars.remove_task(starting)
            result = run(instance, wish, bars)
    return {"bench": "commands", **result, "load_after": round(os.getloadavg()[0], 2), "machine": machine}


def run(instance: Instance, wish: Wish, bars: Progress) -> dict[str, Any]:
    """The same on an instance that is there."""
    key = instance.create_key(scopes="ingest,read,control,admin")
    arguments = (str(instance.data), ORGANISATION, str(wish.devices))
    devices = list(instance.ask("kilowatch.cli.bench.tokens", *arguments))
    return asyncio.run(_run(instance, wish, devices, key, bars))


async def _run(
    instance: Instance, wish: Wish, devices: list[str], key: str, bars: Progress
) -> dict[str, Any]:
    bar = bars.add_task("sending commands", total=None, said="")
    gateway = Gateway(ORGANISATION, key, int(instance.run["mqtt_port"]))
    gateway.start()
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await gateway.ready.wait()
    except TimeoutError:
        raise BenchFailed("the MQTT server did not let the gateway in") from None
    sent = Sent()
    before = instance.cpu_seconds()
    began = time.monotonic()
    shares_ = [devices[place :: wish.connections] for place in range(min(wish.connections, len(devices)))]
    killer = Killer(instance, BETWEEN, wish.kill_every_s, wish.seed)
    killing = [killer.run(lambda: time.monotonic() - began >= wish.seconds)] if wish.kill_every_s else []
    sending = [_send(instance.port, key, mine, wish, sent, began) for mine in shares_]
    await asyncio.gather(*sending, *killing)
    bars.update(bar, description="waiting for the end of all")
    await asyncio.to_thread(_wait_until_ended, instance, key)
    ended_s = time.monotonic() - began
    spent = spent_between(before, instance.cpu_seconds())
    gateway.close()
    bars.remove_task(bar)
    accepted = len(sent.asked_at)
    lost = sum(command not in gateway.heard_at for command in sent.asked_at)
    to_device = [at - sent.asked_at[one] for one, at in gateway.heard_at.items() if one in sent.asked_at]
    return {
        "devices": len(devices),
        "connections": wish.connections,
        "rate": wish.rate,
        "accepted": accepted,
        "accepted_per_s": round(accepted / (sent.last_at - began)),
        "delivered_per_s": round(accepted / ended_s),
        "ack_ms": percentiles_ms(sent.waits_s),
        "to_device_ms": percentiles_ms(to_device),
        "killed": dict(killer.killed),
        "sent_again": gateway.repeats,
        "lost": lost,
        "out_of_order": sum(gateway.order.get(device) != order for device, order in sent.order.items()),
        "right": not lost and all(gateway.order.get(one) == order for one, order in sent.order.items()),
        "cpu_s_per_thousand": {part: round(s / accepted * 1e3, 3) for part, s in spent.items()},
    }


async def _send(port: int, key: str, devices: list[str], wish: Wish, sent: Sent, began: float) -> None:
    """Sends commands to these devices in turn, the next one when the one before is accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    heads = [
        request_head(f"POST /api/v1/devices/{device}/commands", f"127.0.0.1:{port}", headers)
        + b"%d\r\n\r\n" % len(BODY)
        + BODY
        for device in devices
    ]
    pause_s = wish.connections / wish.rate if wish.rate else 0.0
    due, place = began, 0
    while time.monotonic() - began < wish.seconds:
        asked_at = time.monotonic()
        writer.write(heads[place])
        command = await _accepted(reader)
        sent.last_at = time.monotonic()
        sent.waits_s.append(sent.last_at - asked_at)
        sent.asked_at[command] = asked_at
        sent.order.setdefault(devices[place], []).append(command)
        place = (place + 1) % len(devices)
        due += pause_s
        await asyncio.sleep(max(0.0, due - time.monotonic()) if pause_s else 0)
    writer.close()


async def _accepted(reader: asyncio.StreamReader) -> str:
    """The id in an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(size)
    if head[9:12] != b"202":
        raise BenchFailed(f"a command was refused: {body.decode('utf-8', 'replace')}")
    return body.partition(b'"id":"')[2][:36].decode()


def _wait_until_ended(instance: Instance, key: str) -> None:
    deadline = time.monotonic() + ENDED_WITHIN_S
    headers = {"Authorization": f"Bearer {key}"}
    for status in ("queued", "processing"):
        while True:
            asked = {"status": status, "limit": "1"}
            answer = instance.http.get(f"{instance.url}/api/v1/commands", params=asked, headers=headers)
            if not answer.json()["items"]:
                break
            if time.monotonic() > deadline:
                raise BenchFailed(f"commands are {status} after {ENDED_WITHIN_S:.0f} s")
            time.sleep(LOOK_EVERY_S)


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    accepted = f"{result['accepted']:,} over {result['connections']} connections"
    outcome = f"{result['lost']} lost, {result['out_of_order']} devices out of order"
    return [
        ("accepted", f"[bold]{result['accepted_per_s']:,}/s[/bold] ({accepted})"),
        ("delivered and answered", f"[bold]{result['delivered_per_s']:,}/s[/bold], to the last one's end"),
        ("accepted after", spread(result["ack_ms"])),
        ("at the device after", spread(result["to_device_ms"])),
        ("sent again", f"{result['sent_again']:,}"),
        ("killed", ", ".join(f"{name} {count}" for name, count in result["killed"].items()) or "none"),
        ("outcome", f"[green]{outcome}[/green]" if result["right"] else f"[red]{outcome}[/red]"),
        ("CPU per thousand", shares(result["cpu_s_per_thousand"], "s", 2)),
        ("load average after", f"{result['load_after']}"),
    ]
