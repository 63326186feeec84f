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
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kilowatch.cli.bench.http_client import BatchSource, Sender, SingleSource, Source, request_head
from kilowatch.cli.bench.load import Shape, Share, Singles, Templates
from kilowatch.cli.bench.mqtt_client import Publisher, connect_packet
from kilowatch.cli.bench.order import Order
from kilowatch.cli.bench.patient import PatientSender
from kilowatch.cli.bench.tally import Tally, as_document

REPORT_S = 0.5
WARM_ROWS = 2000
LAST_ANSWER_WITHIN_S = 90.0


More = Callable[[], bool]
"""Whether a connection shall send another body."""


class Deadline:
    """Says yes until the time is up; begins when it is started."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0

    def start(self) -> None:
        """The time runs from now on."""
        self._end = time.monotonic() + self._seconds

    def __call__(self) -> bool:
        return time.monotonic() < self._end


class Times:
    """Says yes so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self) -> bool:
        self._left -= 1
        return self._left >= 0


async def run(order: Order) -> None:
    """Does what the order says, and reports."""
    asyncio.get_running_loop().set_exception_handler(_give_up)
    warm = Tally()
    await _register(order, warm)
    say({"event": "ready", "accepted": warm.accepted, "failures": warm.failures})
    if warm.failures:
        return
    tally, deadline = Tally(), Deadline(order.seconds)
    prepare = _prepare_mqtt if order.shape.form == "mqtt" else _prepare_http
    senders = prepare(order, tally, lambda: Times(order.bodies) if order.bodies else deadline)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await _connect(order, senders)
    began_cpu_s, began_at = _cpu_s(), time.monotonic()
    deadline.start()
    await _send(order, senders, tally)
    figures = {
        "seconds": max(tally.last_at - began_at, 1e-9),
        "cpu_s": _cpu_s() - began_cpu_s,
        "last_at": tally.last_at,
        "newest": [sender.newest for sender in senders if isinstance(sender, Publisher)],
    }
    say({"event": "done", **as_document(tally), **figures})


async def _send(order: Order, senders: Sequence[Sender | Publisher], tally: Tally) -> None:
    """Lets all connections send, until the last answer."""
    for place, sender in enumerate(senders):
        sender.start(order.pace_s * place / len(senders))
    reporting = asyncio.create_task(_report(tally))
    within_s = None if order.bodies else order.seconds + LAST_ANSWER_WITHIN_S
    _, late = await asyncio.wait([sender.done for sender in senders], timeout=within_s)
    reporting.cancel()
    if late:
        tally.fail(f"{len(late)} connections got no answer within {LAST_ANSWER_WITHIN_S:.0f} s")


async def _report(tally: Tally) -> None:
    while True:
        say({"event": "progress", "accepted": tally.accepted})
        await asyncio.sleep(REPORT_S)


def _give_up(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback that raises is a fault of the client; without this its connection would fall silent."""
    error = context.get("exception")
    what = "".join(traceback.format_exception(error)) if error else context["message"]
    say({"event": "done", "failures": [f"the client failed: {what}"]})
    os._exit(1)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --- connections -----------------------------------------------------------------------------------------


def _prepare_http(order: Order, tally: Tally, make_more: Callable[[], More]) -> list[Sender]:
    target = order.target
    head = request_head(f"POST {target.path}", f"{target.host}:{target.port}", target.headers)
    make = partial(PatientSender, target) if order.bears_errors else Sender
    return [make(head, source, tally, make_more(), order.pace_s) for source in _sources(order.shape)]


def _sources(shape: Shape) -> list[Source]:
    if shape.form == "single":
        return [SingleSource(Singles(shape, number, with_device=True)) for number in range(shape.connections)]
    templates = Templates(shape)
    return [BatchSource(templates, Share(shape, number), shape.rows) for number in range(shape.connections)]


def _prepare_mqtt(order: Order, tally: Tally, make_more: Callable[[], More]) -> list[Publisher]:
    target, shape = order.target, order.shape
    publishers = []
    for number in range(shape.connections):
        topics = [target.topic.replace("{device}", name).encode() for name in Share(shape, number).names]
        login = connect_packet(f"bench-{shape.seed}-{number}", target.user, target.password)
        singles = Singles(shape, number, with_device=False)
        publishers.append(Publisher(login, topics, singles, tally, make_more(), target.window))
    return publishers


async def _connect(order: Order, senders: Sequence[Sender | Publisher]) -> None:
    loop, target = asyncio.get_running_loop(), order.target
    for sender in senders:
        await loop.create_connection(partial(_same, sender), target.host, target.port)
    await asyncio.gather(*(sender.ready for sender in senders if isinstance(sender, Publisher)))


def _same(sender: Sender | Publisher) -> Sender | Publisher:
    return sender


# --- registering -----------------------------------------------------------------------------------------


async def _register(order: Order, tally: Tally) -> None:
    """One reading of every device over HTTP, a moment before the load's first."""
    shape, target = order.shape, order.target
    form = "json" if shape.form in ("single", "mqtt") else shape.form
    everybody = replace(
        before_the_load(shape),
        form=form,
        devices=shape.used_devices,
        batch=min(WARM_ROWS, shape.used_devices),
        connections=1,
    )
    target = replace(target, port=target.http_port)
    first = replace(order, shape=everybody, target=target, pace=0.0, bears_errors=False)
    (sender,) = _prepare_http(first, tally, lambda: Times(everybody.parts))
    await _connect(first, [sender])
    sender.start()
    await sender.done


def before_the_load(shape: Shape) -> Shape:
    """The same load, two rounds (at least two seconds) earlier."""
    return replace(shape, start_us=shape.start_us - 2 * max(shape.every_us, 1_000_000))


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
