"""Health under a flood: however many strangers ask, the engines are asked by one at a time."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest

from kilowatch.observe import metrics
from kilowatch.observe.workers import FORGOTTEN_AFTER_S, Workers, take_down
from kilowatch.server import health
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from kilowatch.wire.figures import FIGURES_SUBJECT
from tests.server.conftest import WITHIN_S, House, open_house, until

REQUESTS = 300


class Counted:
    """A probe that counts how often it asks, and how many ask at the same time."""

    def __init__(self, probe: health.Probe) -> None:
        self._probe = probe
        self.asked = self.at_once = self.most_at_once = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._probe()
        finally:
            self.at_once -= 1


async def test_a_flood_asks_the_engines_a_few_times_a_second(parts: Parts, stream: Client) -> None:
    counted = {name: Counted(probe) for name, probe in parts.probes.items()}
    parts.probes = counted
    async with (
        open_house(parts, stream) as house,
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
    ):
        began = time.monotonic()
        wanted = [http.get(("/readyz", "/metrics")[place % 2]) for place in range(REQUESTS)]
        answers = await asyncio.gather(*wanted)
        rounds_at_most = 1 + (time.monotonic() - began) / health.KEPT_S
        assert {answer.status_code for answer in answers} == {200}
        for probe in counted.values():
            assert 1 <= probe.asked <= rounds_at_most
            assert probe.most_at_once == 1


async def test_answers_are_not_kept_for_long(parts: Parts, stream: Client) -> None:
    counted = Counted(parts.probes["postgres"])
    rounds = health.Rounds({"postgres": counted})
    first = await rounds.ask()
    answered = time.monotonic()
    while (later := await rounds.ask()) is first:
        assert time.monotonic() - answered <= health.KEPT_S + 1.0
    assert later.parts == {"postgres": {"ok": True}}
    assert counted.asked == 2


async def test_who_goes_away_does_not_end_the_round_for_others() -> None:
    go_on = asyncio.Event()

    async def slow() -> dict[str, Any]:
        await go_on.wait()
        return {"figure": 1}

    counted = Counted(slow)
    rounds = health.Rounds({"slow": counted})
    gone, stays = asyncio.create_task(rounds.ask()), asyncio.create_task(rounds.ask())
    await until(lambda: counted.at_once)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    go_on.set()
    assert (await stays).parts == {"slow": {"ok": True, "figure": 1}}
    assert counted.asked == 1


async def test_a_bug_in_a_probe_is_not_kept() -> None:
    broken = True

    async def probe() -> dict[str, Any]:
        if broken:
            raise ZeroDivisionError
        return {}

    rounds = health.Rounds({"part": probe})
    with pytest.raises(ZeroDivisionError):
        await rounds.ask()
    broken = False
    assert (await rounds.ask()).parts == {"part": {"ok": True}}


async def test_the_figures_of_workers_show_until_they_are_not_heard_of(house: House) -> None:
    metrics.COMMITS.inc()
    metrics.COMMIT_SECONDS.observe(0.02)
    metrics.DEAD_LETTERS.labels("conflict").inc()
    declared = {found.name for found in metrics.WORKERS_OWN.collect() if found.samples}
    commits = metrics.WORKERS_OWN.get_sample_value("kilowatch_commits_total")
    await house.stream.publish(FIGURES_SUBJECT, b"{broken")
    for worker in ("0,1", "2,3"):
        await house.stream.publish(FIGURES_SUBJECT, take_down(metrics.WORKERS_OWN, worker).encode())
    async with httpx.AsyncClient(base_url=house.url) as http:
        text = ""
        async with asyncio.timeout(WITHIN_S):
            while 'worker="2,3"' not in text:
                text = (await http.get("/metrics")).text
    for name in declared:
        assert re.search(rf'^{name}\w*{{.*worker="0,1".*}} ', text, re.MULTILINE)
    assert f'kilowatch_commits_total{{worker="2,3"}} {commits}' in text
    assert 'kilowatch_dead_letters_total{code="conflict",worker="2,3"}' in text
    assert "\nkilowatch_commits_total " not in text


def test_a_worker_that_is_gone_shows_nothing() -> None:
    now_s = 0.0
    workers = Workers(metrics.WORKERS_OWN, lambda: now_s)
    workers.hear(take_down(metrics.WORKERS_OWN, "0"))
    now_s = FORGOTTEN_AFTER_S
    workers.hear(take_down(metrics.WORKERS_OWN, "1"))
    assert {one.labels["worker"] for figure in workers.collect() for one in figure.samples} == {"0", "1"}
    now_s += 1
    assert {one.labels["worker"] for figure in workers.collect() for one in figure.samples} == {"1"}
