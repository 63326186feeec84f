"""`kw bench stage`: worlds at play: how soon people see what streams tell, and what making it costs.

The engine is measured alone: reading worlds, thirty days of every stream with their statistics, beginning a
scenario. Then a temporary instance plays the largest world for many WebSocket clients, each on all streams.
Keeps true: what clients receive is dated by the simulator on the same machine, so its age is real; the same
words must reach all clients.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.progress import Progress
from websockets.asyncio.client import ClientConnection, connect

from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.cli.bench.tally import percentiles_ms
from kilowatch.clock import SystemClock
from kilowatch.simulator.engine.happenings import background
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.statistics import statistics
from kilowatch.simulator.stage.play import HISTORY_US, Play
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped

WORLD = "marketplace"
SCENARIO = "payment-outage"
FASTEST = 600.0
TIMES = 5
"""Each figure of the engine is taken so often; the fastest counts, since others only add to it."""
HERE_WITHIN_S = 60.0
FIRST_WITHIN_S = 30.0
ON_THE_WAY_S = 2.0
LOOK_EVERY_S = 1.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say. hours: simulated ones, at 600 times the speed, over which memory is watched."""

    clients: int = 50
    seconds: float = 30.0
    hours: float = 24.0


class Message(msgspec.Struct):
    """A message of a batch, as far as it is looked at."""

    ts: str
    type: str


class Batch(msgspec.Struct):
    """A message of the server; only batches have messages."""

    type: str
    messages: list[Message] = []


_BATCH = msgspec.json.Decoder(Batch)


@dataclass(slots=True)
class Watcher:
    """What one client received: when each word was told and how old it was, in seconds, and how many streams
    it knew at once."""

    words: list[tuple[float, float]] = field(default_factory=list)
    known: int = 0
    joined: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, socket: ClientConnection) -> None:
        """Follows all streams."""
        await socket.send('{"type":"subscribe","topics":["streams.*"]}')
        async for text in socket:
            now_s = time.time()
            for message in _BATCH.decode(text).messages:
                if message.type == "stream":
                    told_s = datetime.fromisoformat(message.ts).timestamp()
                    self.words.append((told_s, now_s - told_s))
                else:
                    self.known += 1
            self.joined.set()

    def ages_s(self, began_s: float, ended_s: float) -> list[float]:
        """How old the words were that were told in `[began_s, ended_s)`."""
        return [age_s for told_s, age_s in self.words if began_s <= told_s < ended_s]


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Measures the engine, then an instance.

    Raises:
        BenchFailed: if the simulator does not answer, or clients receive different words.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        bar = bars.add_task("the engine alone", total=None, said="")
        engine = measure_engine()
        bars.update(bar, description="starting an instance")
        with running_instance(place) as instance:
            result = asyncio.run(watch_instance(instance, wish, bars))
    return {"bench": "stage", "engine_ms": engine, **result, "machine": machine}


def measure_engine(times: int = TIMES) -> dict[str, float]:
    """Milliseconds that each takes at best."""
    places = find_worlds([shipped()])
    world = load_world(places[WORLD])
    clock = SystemClock()
    play = Play(world, 1, clock)

    def generate() -> None:
        run = Run.of(world, 1)
        moments = play.grid(play.begun_us - HISTORY_US, play.begun_us)
        statistics(play.names, moments, happened(run, moments, background(run, moments)), world.time_zone)

    def activate() -> None:
        play.begin(SCENARIO)
        play.reset()

    return {
        "largest_world_read": _best_ms(lambda: load_world(places[WORLD]), times),
        "all_worlds_read": _best_ms(lambda: [load_world(place) for place in places.values()], times),
        "thirty_days_with_statistics": _best_ms(generate, times),
        "play_begun": _best_ms(lambda: Play(world, 1, clock), times),
        "scenario_begun": _best_ms(activate, times),
    }


def _best_ms(work: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(min(took) * 1000, 1)


async def watch_instance(instance: Instance, wish: Wish, bars: Progress) -> dict[str, Any]:
    """Plays the world as time goes, then faster, with clients on all streams; then watches memory."""
    key = instance.create_key(scopes="read,control")
    headers = {"Authorization": f"Bearer {key}"}
    bar = bars.add_task("playing", total=2 * wish.seconds, said="")
    async with httpx.AsyncClient(base_url=instance.url, headers=headers, timeout=60.0) as http:
        await _change(http, world=WORLD, speed=1)
        began_ms = []
        for _ in range(TIMES):
            began = time.perf_counter()
            await _ask(http, "POST", "scenario", {"scenario_id": SCENARIO})
            began_ms.append((time.perf_counter() - began) * 1000)
            await _ask(http, "POST", "reset", None)
        told = {}
        for name, speed in (("real_time", 1.0), ("fast", FASTEST)):
            await _change(http, speed=speed)
            told[name] = await _watch_clients(instance, headers, wish)
            bars.update(bar, advance=wish.seconds)
        memory = await _watch_memory(instance, wish.hours * HOUR_S / FASTEST, bars)
    return {
        "clients": wish.clients,
        "scenario_begun_over_http_ms": round(min(began_ms), 1),
        **told,
        "simulated_hours": wish.hours,
        "simulator_mb": memory,
    }


async def _watch_clients(instance: Instance, headers: dict[str, str], wish: Wish) -> dict[str, Any]:
    """Clients that join at once and follow all streams for so long."""
    watchers = [Watcher() for _ in range(wish.clients)]
    address = f"ws://127.0.0.1:{instance.port}/api/v1/live"
    async with contextlib.AsyncExitStack() as open_sockets:
        watching = []
        for watcher in watchers:
            socket = await open_sockets.enter_async_context(
                connect(address, additional_headers=headers, max_size=None)
            )
            watching.append(asyncio.create_task(watcher.watch(socket)))
        try:
            async with asyncio.timeout(FIRST_WITHIN_S):
                await asyncio.gather(*(watcher.joined.wait() for watcher in watchers))
            before, began_s = instance.cpu_seconds(), time.time()
            await asyncio.sleep(wish.seconds)
            ended_s = time.time()
            spent = spent_between(before, instance.cpu_seconds())
            # What was told until then is on its way to some.
            await asyncio.sleep(ON_THE_WAY_S)
        except TimeoutError:
            raise BenchFailed(f"no stream was told within {FIRST_WITHIN_S:.0f} s") from None
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    ages_s = [watcher.ages_s(began_s, ended_s) for watcher in watchers]
    counts, took_s = [len(one) for one in ages_s], ended_s - began_s
    if max(counts) - min(counts) > max(5, 0.05 * max(counts)):
        raise BenchFailed(f"clients received {min(counts)} to {max(counts)} words of the same streams")
    return {
        "words_per_s": round(sum(counts) / len(counts) / took_s, 1),
        "known_on_joining": min(watcher.known for watcher in watchers),
        "told_to_seen_ms": percentiles_ms([age for one in ages_s for age in one]),
        "cpu_cores": {part: round(spent_s / took_s, 3) for part, spent_s in spent.items()},
    }


async def _watch_memory(instance: Instance, seconds: float, bars: Progress) -> dict[str, float]:
    """The simulator's memory at the beginning, halfway, at the end, and at most."""
    bar = bars.add_task("memory", total=seconds, said="")
    looks: list[float] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds or len(looks) < 3:
        looks.append(instance.memory_mb().get("simulator", 0.0))
        bars.update(bar, completed=passed, said=f"{looks[-1]:.0f} MB")
        await asyncio.sleep(LOOK_EVERY_S)
    names = ("first", "halfway", "last", "most")
    return dict(zip(names, (looks[0], looks[len(looks) // 2], looks[-1], max(looks)), strict=True))


async def _change(http: httpx.AsyncClient, **given: Any) -> None:
    deadline = time.monotonic() + HERE_WITHIN_S
    while (await http.get("/api/v1/simulation/worlds")).status_code == 503:
        if time.monotonic() > deadline:
            raise BenchFailed(f"the simulator was not there within {HERE_WITHIN_S:.0f} s")
        await asyncio.sleep(LOOK_EVERY_S)
    await _ask(http, "PATCH", "state", given)


async def _ask(http: httpx.AsyncClient, method: str, path: str, given: dict[str, Any] | None) -> None:
    answer = await http.request(method, f"/api/v1/simulation/{path}", json=given)
    if not answer.is_success:
        raise BenchFailed(f"{path} was refused: {answer.text[:300]}")


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    engine, memory = result["engine_ms"], result["simulator_mb"]
    rows = [
        ("reading the largest world, all worlds", _pair(engine, "largest_world_read", "all_worlds_read")),
        ("30 days x 50 streams with statistics", f"{engine['thirty_days_with_statistics']:,.1f} ms"),
        ("a world begun, with what comes of its last week", f"{engine['play_begun']:,.1f} ms"),
        ("beginning a scenario", f"{engine['scenario_begun']:,.1f} ms"),
        ("  over HTTP", f"{result['scenario_begun_over_http_ms']:,.1f} ms"),
    ]
    for name, speed in (("real_time", "as time goes"), ("fast", f"{FASTEST:g} times as fast")):
        found = result[name]
        words = f"{found['words_per_s']:,.0f} words/s to each of {result['clients']} clients"
        rows.append((speed, f"{words}, {found['known_on_joining']} streams known on joining"))
        rows.append(("  told to seen", spread(found["told_to_seen_ms"])))
        rows.append(("  cores busy", shares(found["cpu_cores"], "", 2)))
    hours = f"the simulator over {result['simulated_hours']:g} simulated hours"
    text = f"{memory['first']:,.0f}, {memory['halfway']:,.0f}, {memory['last']:,.0f} MB"
    rows.append((hours, f"{text} (first, halfway, last), at most {memory['most']:,.0f} MB"))
    return rows


def _pair(figures: dict[str, float], first: str, second: str) -> str:
    return f"{figures[first]:,.1f} ms, {figures[second]:,.1f} ms"
