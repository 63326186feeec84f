"""The simulator's connection over real sockets: what is told and what is lost while the server is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kilowatch.clock import SystemClock
from kilowatch.server.app import Parts
from kilowatch.simulator.stage.desk import Desk
from kilowatch.simulator.stage.program import Program
from kilowatch.simulator.stage.untold import AT_ONCE, BOUND, Untold
from kilowatch.simulator.world.shelf import Shelf
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from kilowatch.wire.stage import StreamTold
from tests.ingest.conftest import holds, until
from tests.server.conftest import House, Member, open_house
from tests.simulator.small_world import write_world

UNDER_WAY = 10
SMALL = 20
"""A bound that is passed within a second."""


@dataclass
class Ear:
    """Hears what every server hears, over NATS."""

    numbers: list[int] = field(default_factory=list)

    def take(self, _: str, message: bytes) -> None:
        event = LiveEvent.decode(message)
        assert event.source is not None
        self.numbers.append(event.number)


@contextlib.asynccontextmanager
async def playing(house_port: int, parts: Parts, folder: Path) -> AsyncIterator[Program]:
    """A simulator of the small world that calls a server there, now or later."""
    write_world(folder)
    clock = SystemClock()
    url = f"http://127.0.0.1:{house_port}"
    program = Program(url, parts.simulator_key, lambda: Desk(Shelf([folder]), clock), clock)
    running = asyncio.create_task(program.run())
    try:
        yield program
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def change(house: House, member: Member, **given: Any) -> dict[str, Any]:
    """Changes the state once the simulator is there; what it answers."""
    answer: httpx.Response | None = None

    async def answered() -> bool:
        nonlocal answer
        async with httpx.AsyncClient(base_url=house.url, headers=member.bearer("admin")) as http:
            answer = await http.patch("/api/v1/simulation/state", json=given)
        return answer.status_code == 200

    await until(answered, "an answer of the simulator")
    assert answer is not None
    return dict(answer.json())


async def test_what_streams_told_meanwhile_is_told_once_and_in_order_and_loss_is_counted(
    parts: Parts, stream: Client, member: Member, tmp_path: Path
) -> None:
    ear = Ear()
    hearing = await stream.subscribe(EVENTS_SUBJECT, ear.take)
    async with contextlib.AsyncExitStack() as later:
        async with open_house(parts, stream) as house:
            program = await later.enter_async_context(playing(house.port, parts, tmp_path))
            logs = later.enter_context(capture_logs())
            await change(house, member, world="bakery", speed=3600)
            await holds(lambda: len(ear.numbers) > 5, "words")
            port = house.port
        await holds(lambda: len(program.untold) > 5, "words that wait")
        async with open_house(parts, stream, port) as house:
            before = ear.numbers[-1]
            await holds(lambda: ear.numbers[-1] > before + 10, "words after a short break")
            assert list(dict.fromkeys(ear.numbers)) == list(range(1, ear.numbers[-1] + 1))
            state = await change(house, member, speed=3600)
            assert state["lost"] == 0
            assert state["buffered"] >= 0
            program.untold.bound = SMALL
        await holds(lambda: program.untold.lost.total() > 5, "words that are given up")
        async with open_house(parts, stream, port) as house:
            before = ear.numbers[-1]
            await holds(lambda: ear.numbers[-1] > before, "words after a long break")
            heard = list(dict.fromkeys(ear.numbers))
            lost = (await change(house, member, speed=0))["lost"]
            assert lost == program.untold.lost[str(member.organisation.id)] > 5
            assert heard == sorted(heard)
            missing = heard[-1] - len(heard)
            assert lost - UNDER_WAY <= missing <= lost, "what was heard, though no word of that came, counts"
    await hearing.stop()
    said = [one for one in logs if "server" in one["event"] or "wait" in one["event"]][:5]
    assert [one["event"] for one in said] == [
        "the server is away", "the server is back", "the server is away",
        "too many words wait; the oldest are given up", "the server is back",
    ]  # fmt: skip
    assert (said[0]["bound"], said[1]["lost"]) == (BOUND, 0)
    assert said[-2]["bound"] == SMALL
    assert lost - UNDER_WAY <= said[-1]["lost"] <= lost
    assert said[1]["waiting"] > 5


async def test_who_joins_is_told_every_stream_of_a_world_at_once(
    parts: Parts, stream: Client, member: Member, tmp_path: Path
) -> None:
    async with open_house(parts, stream) as house, playing(house.port, parts, tmp_path):
        await change(house, member, world="bakery", speed=0)
        async with house.listen(member) as listener:
            await listener.subscribe("streams.*")
            heard = await listener.hear_messages(5)
    assert {one["type"] for one in heard} == {"latest"}
    assert {one["data"]["stream"] for one in heard} == {
        "oven.heat", "shop.visit", "shop.sale", "shop.complaint", "shop.sale.rate",
    }  # fmt: skip
    assert all(0 <= one["data"]["normalised"] <= 100 and one["data"]["ratio"] > 0 for one in heard)


@given(
    bound=st.integers(1, 600),
    turns=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 1200)), max_size=12),
)
def test_words_that_wait_are_the_newest_in_their_order(bound: int, turns: list[tuple[int, int]]) -> None:
    untold, told, heard = Untold(bound), 0, 0
    for count, until_number in turns:
        new = [
            StreamTold(f"o{number % 2}", "s", number, "high", "normal", {})
            for number in range(told + 1, told + count + 1)
        ]
        untold.add(new)
        told += count
        untold.hear(until_number)
        heard = max(heard, min(until_number, told))
        oldest = told - len(untold) + 1
        words = [msgspec.json.decode(one, type=StreamTold).ts_us for one in untold.next().events]
        assert words == list(range(oldest, oldest + min(AT_ONCE, len(untold))))
        assert untold.first == oldest
        assert len(untold) <= bound
        assert oldest > heard or len(untold) == 0
        assert untold.count("o0") + untold.count("o1") == len(untold)
        if told <= bound:
            assert (untold.lost.total(), len(untold)) == (0, told - heard)
