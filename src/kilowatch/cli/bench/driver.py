"""The client process of a load: `python -m kilowatch.cli.bench.driver`, told what to do on standard input.

It sends every device's first reading (so that registering them is not measured), says `ready`, waits for
`go`, sends for the given time, and reports in JSON lines. Keeps true that the client is a process of its own,
whose CPU time is counted apart from the instance's.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kilowatch.cli.bench.http_client import BatchSource, Sender, SingleSource, Source, request_head
from kilowatch.cli.bench.load import Shape, Share, Singles, Templates
from kilowatch.cli.bench.mqtt_client import Publisher, connect_packet
from kilowatch.cli.bench.tally import Tally, as_document

REPORT_S = 0.5
WARM_ROWS = 2000
LAST_ANSWER_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load goes. `path` and `headers` are HTTP's, the rest from `user` on MQTT's."""

    host: str
    port: int
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    user: str = ""
    password: str = ""
    topic: str = ""
    """With `{device}` in it."""
    window: int = 200
    """Unacknowledged messages of one MQTT connection."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the client process is to do."""

    target: Target
    shape: Shape
    seconds: float
    pace: float = 0.0
    """Readings per second over all connections; 0 for as many as are taken."""

    def encode(self) -> bytes:
        """One line of JSON."""
        shape = {name: getattr(self.shape, name) for name in Shape.__dataclass_fields__}
        target = {name: getattr(self.target, name) for name in Target.__dataclass_fields__}
        return (
            json.dumps(
                {"target": target, "shape": shape, "seconds": self.seconds, "pace": self.pace}
            ).encode()
            + b"\n"
        )

    @classmethod
    def decode(cls, line: bytes) -> "Order":
        """The order in a line."""
        told = json.loads(line)
        return cls(Target(**told["target"]), Shape(**told["shape"]), told["seconds"], told["pace"])


class Deadline:
    """Whether there is time left; begins when it is started."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0

    def start(self) -> None:
        self._end = time.monotonic() + self._seconds

    def __call__(self) -> bool:
        return time.monotonic() < self._end


async def run(order: Order) -> None:
    """Does what the order says, and reports."""
    asyncio.get_running_loop().set_exception_handler(_give_up)
    warm = Tally()
    if order.shape.form == "mqtt":
        await _register_by_mqtt(order, warm)
    else:
        await _register_by_http(order, warm)
    say({"event": "ready", "accepted": warm.accepted, "failures": warm.failures})
    if warm.failures:
        return
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    tally, deadline = Tally(), Deadline(order.seconds)
    before = resource.getrusage(resource.RUSAGE_SELF)
    async with _senders(order, tally, deadline) as senders:
        started_at = time.monotonic()
        deadline.start()
        _start(senders, order)
        reporting = asyncio.create_task(_report(tally))
        _, late = await asyncio.wait(
            [one.done for one in senders], timeout=order.seconds + LAST_ANSWER_WITHIN_S
        )
        reporting.cancel()
        if late:
            tally.fail(f"{len(late)} connections got no answer within {LAST_ANSWER_WITHIN_S:.0f} s")
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    took_s = max(tally.last_at - started_at, 1e-9)
    newest = [sender.newest for sender in senders if isinstance(sender, Publisher)]
    figures = {"seconds": took_s, "cpu_s": cpu_s, "last_at": tally.last_at, "newest": newest}
    say({"event": "done", **as_document(tally), **figures})


def _give_up(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback that raises is a fault of the client; without this its connection would fall silent."""
    say(
        {
            "event": "done",
            "failures": [f"the client failed: {context.get('exception') or context['message']!r}"],
        }
    )
    os._exit(1)


async def _report(tally: Tally) -> None:
    while True:
        say({"event": "progress", "accepted": tally.accepted})
        await asyncio.sleep(REPORT_S)


# --- connections -----------------------------------------------------------------------------------------


@asynccontextmanager
async def _senders(
    order: Order, tally: Tally, more: Callable[[], bool]
) -> AsyncIterator[Sequence[Sender | Publisher]]:
    """All connections, connected and not started."""
    if order.shape.form == "mqtt":
        yield await _connect_mqtt(order, tally, lambda: more)
        return
    yield await _connect_http(order, _sources(order.shape), tally, more)


def _start(senders: Sequence[Sender | Publisher], order: Order) -> None:
    for place, sender in enumerate(senders):
        if isinstance(sender, Sender):
            sender.start(_pace_s(order) * place / len(senders))
        else:
            sender.start()


def _pace_s(order: Order) -> float:
    return order.shape.rows * order.shape.connections / order.pace if order.pace else 0.0


def _sources(shape: Shape) -> list[Source]:
    if shape.form == "single":
        return [SingleSource(Singles(shape, number, with_device=True)) for number in range(shape.connections)]
    templates = Templates(shape)
    return [BatchSource(templates, Share(shape, number), shape.rows) for number in range(shape.connections)]


async def _connect_http(
    order: Order, sources: list[Source], tally: Tally, more: Callable[[], bool]
) -> list[Sender]:
    target = order.target
    head = request_head(f"POST {target.path}", f"{target.host}:{target.port}", target.headers)
    senders = []
    for source in sources:
        sender = Sender(head, source, tally, more, _pace_s(order))
        await _connect(target, sender)
        senders.append(sender)
    return senders


async def _connect_mqtt(
    order: Order, tally: Tally, make_more: Callable[[], Callable[[], bool]]
) -> list[Publisher]:
    target, shape = order.target, order.shape
    publishers = []
    for number in range(shape.connections):
        topics = [target.topic.replace("{device}", name).encode() for name in Share(shape, number).names]
        login = connect_packet(f"bench-{shape.seed}-{number}", target.user, target.password)
        singles = Singles(shape, number, with_device=False)
        publisher = Publisher(login, topics, singles, tally, make_more(), target.window)
        await _connect(target, publisher)
        publishers.append(publisher)
    await asyncio.gather(*(publisher.ready for publisher in publishers))
    return publishers


async def _connect(target: Target, protocol: Sender | Publisher) -> None:
    await asyncio.get_running_loop().create_connection(lambda: protocol, target.host, target.port)


# --- registering -----------------------------------------------------------------------------------------


class _Once:
    """Says yes so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self) -> bool:
        self._left -= 1
        return self._left >= 0


async def _register_by_http(order: Order, tally: Tally) -> None:
    """One reading of every device, a round before the load's first."""
    shape = order.shape
    before_us = shape.start_us - 2 * max(shape.every_us, 1_000_000)
    form = "json" if shape.form == "single" else shape.form
    all_of_them = replace(
        shape, form=form, devices=shape.used_devices, batch=WARM_ROWS, connections=1, start_us=before_us
    )
    source = BatchSource(Templates(all_of_them), Share(all_of_them, 0), all_of_them.rows)
    first = replace(order, shape=all_of_them, pace=0.0)
    (sender,) = await _connect_http(first, [source], tally, _Once(all_of_them.parts))
    sender.start()
    await sender.done


async def _register_by_mqtt(order: Order, tally: Tally) -> None:
    """The same over MQTT: devices send in parallel, as in the load."""
    shape = order.shape
    before_us = shape.start_us - 2 * max(shape.every_us, 1_000_000)
    first = replace(order, shape=replace(shape, start_us=before_us))
    publishers = await _connect_mqtt(first, tally, lambda: _Once(shape.devices_each))
    for publisher in publishers:
        publisher.start()
    await asyncio.gather(*(publisher.done for publisher in publishers))


def say(told: dict[str, Any]) -> None:
    """One line to whoever started us."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the order and carries it out."""
    order = Order.decode(sys.stdin.buffer.readline())
    if sys.platform == "win32":
        asyncio.run(run(order))
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(order))


if __name__ == "__main__":
    main()
