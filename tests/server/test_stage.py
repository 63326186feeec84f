"""The way to a simulator: who may ask, what is answered, what streams tell, and what if it is away."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kilowatch.clock import SystemClock
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from kilowatch.wire.simulation import simulator_token
from kilowatch.wire.stage import (
    LATEST,
    STAGE_PATH,
    Answer,
    Ask,
    Heard,
    Hello,
    StreamTold,
    Tell,
    decode_from_server,
    frames_of,
)
from tests.ingest.conftest import until
from tests.server.conftest import House, Member, open_house
from tests.server.persons import list_all

V1 = "/api/v1"
EVENT = {
    "id": "e1", "type": "energy", "title": "Heat", "description": "", "severity": "info", "icon": "",
    "link": None, "ts": "2026-07-01T12:00:00Z", "until": "2026-07-01T18:00:00Z", "streams": ["grid.load"],
    "direction": "increase", "magnitude": "high", "origin": "injected",
}  # fmt: skip


@dataclass
class Simulator:
    """The other end of the stage: notes what it is asked and answers from a list."""

    socket: ClientConnection
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)

    async def play(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                ask = decode_from_server(text)
                if isinstance(ask, Heard):
                    self.heard.append(ask.until)
                    continue
                self.asked.append(ask)
                if ask.question in self.answers:
                    status, body = self.answers[ask.question]
                    await self.say(Answer(ask.id, status, msgspec.Raw(msgspec.json.encode(body))))

    async def say(self, message: Hello | Answer | Tell) -> None:
        for frame in frames_of(message):
            await self.socket.send(frame)

    async def tell(self, *events: StreamTold) -> None:
        await self.say(Tell(list(events)))


@contextlib.asynccontextmanager
async def simulating(house: House, parts: Parts, *organisations: str) -> AsyncIterator[Simulator]:
    """A simulator that plays for these organisations, or for all; ready to be asked."""
    headers = {"Authorization": f"Bearer {simulator_token(parts.simulator_key)}"}
    async with connect(f"ws://127.0.0.1:{house.port}{STAGE_PATH}", additional_headers=headers) as socket:
        simulator = Simulator(socket, {"worlds": (200, {"items": []}), LATEST: (200, [])})
        await simulator.say(Hello(list(organisations) or None))
        playing = asyncio.create_task(simulator.play())
        try:
            yield simulator
        finally:
            playing.cancel()


async def ask_until(http: httpx.AsyncClient, headers: dict[str, str], status: int) -> httpx.Response:
    """Asks for the worlds until it is answered so."""
    answer: httpx.Response | None = None

    async def answered() -> bool:
        nonlocal answer
        answer = await http.get(f"{V1}/simulation/worlds", headers=headers)
        return answer.status_code == status

    await until(answered, f"an answer with status {status}")
    assert answer is not None
    return answer


def told(member: Member, value: float, flag: str = "normal") -> StreamTold:
    ts_us = SystemClock().now_us()
    organisation = str(member.organisation.id)
    return StreamTold(organisation, "grid.load", ts_us, "high", flag, {"value": value})  # type: ignore[arg-type]


async def test_without_a_simulator_everybody_is_told_so(http: httpx.AsyncClient, member: Member) -> None:
    answer = await ask_until(http, member.bearer(), 503)
    assert answer.json()["code"] == "simulator_away"
    assert "kw simulate" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "5"


async def test_who_asks_reaches_the_simulator_of_their_organisation(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member, stranger: Member
) -> None:
    own = str(member.organisation.id)
    async with simulating(house, parts) as common, simulating(house, parts, own) as mine:
        mine.answers["events"] = (200, {"items": [EVENT]})
        await ask_until(http, stranger.bearer(), 200)
        span = {"start": "2026-07-01T00:00:00Z", "end": "1782950400000", "type": "energy"}

        async def heard_by_mine() -> bool:
            answer = await http.get(f"{V1}/simulation/events", params=span, headers=member.bearer())
            return answer.status_code == 200 and answer.json() == {"items": [EVENT]}

        await until(heard_by_mine, "an answer of one's own simulator")
        ask = mine.asked[-1]
        assert (ask.organisation, ask.question) == (own, "events")
        assert ask.given == {
            "start_us": 1_782_864_000_000_000, "end_us": 1_782_950_400_000_000, "type": "energy",
        }  # fmt: skip
        assert {one.organisation for one in common.asked} == {str(stranger.organisation.id)}
    answer = await ask_until(http, member.bearer(), 503)
    assert answer.json()["code"] == "simulator_away"


async def test_a_long_answer_comes_in_pieces(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member
) -> None:
    async with simulating(house, parts) as simulator:
        await ask_until(http, member.bearer(), 200)
        long = {"items": [EVENT | {"id": f"e{number}", "title": '"' * 200} for number in range(2000)]}
        simulator.answers["events"] = (200, long)
        answer = await http.get(f"{V1}/simulation/events", headers=member.bearer())
        assert (answer.status_code, answer.json()) == (200, long)


async def test_a_refusal_is_told_and_nonsense_is_refused_before_it_is_asked(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member
) -> None:
    admin = member.bearer("admin")
    async with simulating(house, parts) as simulator:
        await ask_until(http, admin, 200)
        refusal = {"code": "scenario_active", "detail": "Heat wave goes on until six.", "errors": []}
        simulator.answers["scenario"] = (409, refusal)
        body = {"scenario_id": "heat_wave"}
        answer = await http.post(f"{V1}/simulation/scenario", json=body, headers=admin)
        assert (answer.status_code, answer.json()["code"]) == (409, "scenario_active")
        count = len(simulator.asked)
        for method, path, given in (
            ("POST", "scenario", {"scenario_id": "Heat!"}),
            ("POST", "scenario", {}),
            ("PATCH", "state", {"speed": 4000}),
            ("PATCH", "state", {"seed": -1}),
            ("POST", "events", {"template": "x", "lasts_s": 0}),
            ("POST", "events", {"template": "x", "title": "My own"}),
            ("POST", "events", {"type": "energy", "title": "a\0b", "lasts_s": 60}),
            ("GET", "history?start=yesterday", None),
            ("GET", "history?start=2026-07-02T00:00:00Z&end=2026-07-01T00:00:00Z", None),
            ("GET", "history?mode=other", None),
        ):
            refused = await http.request(method, f"{V1}/simulation/{path}", json=given, headers=admin)
            assert refused.status_code == 422, path
        assert len(simulator.asked) == count


async def test_what_is_changed_is_in_the_audit_log(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member
) -> None:
    admin = member.bearer("admin")
    async with simulating(house, parts) as simulator:
        await ask_until(http, admin, 200)
        simulator.answers["reset"] = (200, {"success": True, "message": "All is as it was."})
        simulator.answers["stop"] = (200, {"success": True, "settling_until": EVENT["until"]})
        simulator.answers["inject"] = (200, EVENT)
        for path, body in (
            ("reset", None), ("stop", None), ("events", {"template": "heat"}),
            ("events", {"template": "heat", "preview": True}),
        ):  # fmt: skip
            answer = await http.post(f"{V1}/simulation/{path}", json=body, headers=admin)
            assert answer.status_code in (200, 201), answer.text
        for path in ("reset", "stop"):
            answer = await http.post(f"{V1}/simulation/{path}", headers=member.bearer())
            assert answer.status_code == 403
    log = await list_all(http, f"{V1}/audit-log", admin)
    assert [one["action"] for one in log if one["action"].startswith("simulation")] == [
        "simulation.event_injected", "simulation.scenario_stopped", "simulation.reset",
    ]  # fmt: skip


async def test_what_streams_tell_is_heard_in_their_organisation_alone(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member, stranger: Member
) -> None:
    async with (
        simulating(house, parts) as simulator,
        house.listen(member) as streams,
        house.listen(member) as anomalies,
        house.listen(stranger) as others,
    ):
        await ask_until(http, member.bearer(), 200)
        await streams.subscribe("streams.grid.*", "frequency.high")
        await anomalies.subscribe("anomalies")
        await others.subscribe("*")
        for listener in (streams, anomalies, others):
            await listener.say(type="ping")
            await listener.hear_until("pong")
        await simulator.tell(told(member, 1.0), told(member, 2.0, "critical"), told(stranger, 3.0))
        heard = await streams.hear_messages(2)
        assert [(one["topic"], one["type"], one["data"]["value"]) for one in heard] == [
            ("streams.grid.load", "stream", 1.0), ("streams.grid.load", "stream", 2.0),
        ]  # fmt: skip
        (critical,) = await anomalies.hear_messages(1)
        assert critical["data"] == {
            "stream": "grid.load", "flag": "critical", "frequency": "high", "value": 2.0,
        }  # fmt: skip
        assert [one["data"]["value"] for one in await others.hear_messages(1)] == [3.0]


def word(
    member: Member, stream: str, value: float, frequency: str = "low", ago_s: float = 3600
) -> StreamTold:
    ts_us, whose = SystemClock().now_us() - round(ago_s * 1e6), str(member.organisation.id)
    return StreamTold(whose, stream, ts_us, frequency, "normal", {"value": value})  # type: ignore[arg-type]


async def test_who_joins_is_told_the_newest_of_every_stream_though_nobody_here_heard_it(
    house: House, parts: Parts, stream: Client, http: httpx.AsyncClient, member: Member, stranger: Member
) -> None:
    critical = msgspec.structs.replace(word(member, "grid.price", 9.0, "high", 60), flag="critical")
    words = [word(member, "grid.load", 5.0), critical, word(stranger, "grid.load", 666.0)]
    async with (
        simulating(house, parts) as simulator,
        open_house(dataclasses.replace(parts), stream) as elsewhere,
        elsewhere.listen(member) as everything,
        elsewhere.listen(member) as high,
        house.listen(member) as anomalies,
        house.listen(stranger) as others,
    ):
        await ask_until(http, member.bearer(), 200)
        simulator.answers[LATEST] = (200, msgspec.to_builtins(words))
        for listener, topic, values in (
            (everything, "streams.*", [5.0, 9.0]), (high, "frequency.high", [9.0]),
            (anomalies, "anomalies", [9.0]), (others, "*", [666.0]),
        ):  # fmt: skip
            await listener.subscribe(topic)
            await listener.say(type="ping")
            heard = await listener.hear_messages(len(values))
            assert {one["type"] for one in heard} == {"latest"}
            assert [one["data"]["value"] for one in heard] == values
        await simulator.tell(word(member, "grid.load", 6.0, ago_s=0))
        (live,) = await everything.hear_messages(1)
        assert (live["type"], live["data"]["value"]) == ("stream", 6.0)


async def test_a_simulator_that_does_not_answer_keeps_nobody_from_joining(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilowatch.server.stage.LATEST_WITHIN_S", 0.05)
    async with simulating(house, parts) as simulator, house.listen(member) as listener:
        await ask_until(http, member.bearer(), 200)
        del simulator.answers[LATEST]
        await listener.subscribe("streams.*")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        await simulator.tell(told(member, 1.0))
        (live,) = await listener.hear_messages(1)
        assert live["data"]["value"] == 1.0


async def test_words_that_are_told_again_are_heard_once_and_the_simulator_is_told(
    house: House, parts: Parts, http: httpx.AsyncClient, member: Member
) -> None:
    async with simulating(house, parts) as simulator, house.listen(member) as listener:
        await ask_until(http, member.bearer(), 200)
        await listener.subscribe("streams.*")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        for first, values in ((7, (1.0, 2.0)), (7, (1.0, 2.0, 3.0)), (9, (3.0, 4.0))):
            await simulator.say(Tell([told(member, value) for value in values], "x", first))
        await simulator.say(Tell([told(member, 5.0)], "y", 1))
        heard = await listener.hear_messages(5)
        assert [one["data"]["value"] for one in heard] == [1.0, 2.0, 3.0, 4.0, 5.0]

        async def all_heard() -> bool:
            return simulator.heard == [8, 9, 10, 1]

        await until(all_heard, "word that all was heard")


async def test_the_door_is_for_the_simulator_and_for_its_words(
    house: House, parts: Parts, member: Member
) -> None:
    url = f"ws://127.0.0.1:{house.port}{STAGE_PATH}"
    token = {"Authorization": f"Bearer {simulator_token(parts.simulator_key)}"}
    hello = msgspec.json.encode(Hello()).decode()
    for headers, words, code in (
        ({}, [], 4403),
        (member.bearer("admin"), [hello], 4403),
        (token, ["{}"], 4400),
        (token, [msgspec.json.encode(Tell([])).decode()], 4400),
        (token, [hello, "no json"], 4400),
    ):
        async with connect(url, additional_headers=headers) as socket:
            with contextlib.suppress(ConnectionClosed):
                for word in words:
                    await socket.send(word)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)
            assert socket.close_code == code
