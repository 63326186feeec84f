"""Worlds in a whole instance: a crisis on a button, seen live, felt by devices, asked about, taken back."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from kilowatch.clock import to_us
from kilowatch.simulator.fleet.grid import Grid
from kilowatch.simulator.fleet.rows import USUAL
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from tests.cli.conftest import Instance, run_kw
from tests.cli.test_fleet import spawn
from tests.conftest import wait_until
from tests.ingest.conftest import holds, until

WITHIN_S = 60.0
MARKET = ZoneInfo("America/New_York")


@pytest.fixture(scope="module")
def http(running: Instance) -> Iterator[httpx.Client]:
    """Somebody who may have crises begin."""
    asked = ("key", "create", "--organisation", "town", "--create", "--scopes", "read,control")
    made = run_kw(*asked, "--data", str(running.data), "--json")
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    base_url = f"http://127.0.0.1:{running.run_file()['port']}/api/v1"
    with httpx.Client(base_url=base_url, headers=headers, timeout=30) as client:
        wait_until(lambda: client.get("/simulation/worlds").status_code == 200, WITHIN_S, "a simulator")
        yield client


def ask(http: httpx.Client, path: str, **given: Any) -> Any:
    answer = http.get(f"/simulation/{path}", params=given)
    assert answer.status_code == 200, answer.text
    return answer.json()


def change(http: httpx.Client, **given: Any) -> None:
    answer = http.patch("/simulation/state", json=given)
    assert answer.status_code == 200, answer.text


def wait_for_afternoon(http: httpx.Client) -> None:
    """Moves the clock on to two in the afternoon where the marketplace's people live: at night, few pay, and
    an outage moves little."""
    now = datetime.fromisoformat(ask(http, "state")["now"]).astimezone(MARKET)
    until_then = (now.replace(hour=14, minute=0, second=0) - now) % timedelta(days=1)
    change(http, step_s=max(until_then.total_seconds(), 1))


def test_a_crisis_is_begun_seen_live_explained_and_taken_back(running: Instance, http: httpx.Client) -> None:
    ids = {one["id"] for one in ask(http, "scenarios")["items"]}
    assert {"heat_wave", "payment-outage", "ghost_walk", "islanding"} <= ids
    wait_for_afternoon(http)
    address = f"ws://127.0.0.1:{running.run_file()['port']}/api/v1/live"
    bearer = {"Authorization": http.headers["Authorization"]}
    with connect(address, additional_headers=bearer) as socket:
        socket.send(json.dumps({"type": "subscribe", "topics": ["streams.*"]}))
        begun = http.post("/simulation/scenario", json={"scenario_id": "payment-outage"})
        assert begun.status_code == 200, begun.text
        second = http.post("/simulation/scenario", json={"scenario_id": "heat_wave"})
        assert (second.status_code, second.json()["code"]) == (409, "scenario_active")
        assert http.patch("/simulation/state", json={"speed": 600}).status_code == 200
        told: dict[str, dict[str, Any]] = {}
        while "support.ticket.created" not in told or len(told) < 20:
            batch = json.loads(socket.recv(timeout=WITHIN_S))
            for message in batch.get("messages", []):
                told[message["data"]["stream"]] = message["data"]
        assert all(0 <= one["normalised"] <= 100 for one in told.values())
    step = http.patch("/simulation/state", json={"speed": 1, "step_s": 2 * 86_400})
    assert step.json()["scenario"]["status"] in ("settling", "settled")
    started = begun.json()["scenario"]["started_at"]
    history = ask(http, "history", start=started, mode="difference", streams="support.ticket.created")
    assert sum(point["value"] for point in history["streams"]["support.ticket.created"]) > 20
    first = begun.json()["events"][0]
    causes = ask(http, "correlations", start=first["ts"], stream="support.ticket.created")["items"]
    told_of = {cause["event"]["id"] for cause in causes}
    assert told_of & {event["id"] for event in begun.json()["events"]}
    assert http.post("/simulation/reset").json()["success"]
    state = ask(http, "state")
    assert (state["status"], state["history"], state["scenario"]) == ("baseline", "baseline", None)


def test_a_heat_wave_makes_regions_climb(http: httpx.Client) -> None:
    wave = http.post("/simulation/scenario", json={"scenario_id": "heat_wave"})
    assert wave.status_code == 200, wave.text
    assert http.patch("/simulation/state", json={"step_s": 3 * 3600}).status_code == 200
    ratios = {one["name"]: one["ratio"] for one in ask(http, "streams")["items"]}
    loads = [ratio for name, ratio in ratios.items() if name.endswith(".load")]
    assert len(loads) >= 5
    assert max(loads) > 1.15
    assert http.post("/simulation/stop").json()["success"]
    assert ask(http, "state")["status"] in ("settling", "baseline")


# --- devices that follow ---------------------------------------------------------------------------------

METERS, SEED = 50, 3
FLEET = Grid(METERS, SEED)
AT_ONCE = FLEET.measure(np.arange(METERS, dtype=np.int32), np.full(METERS, 1_780_000_000_000_000), USUAL)
PLAIN = np.isnan(AT_ONCE["energy_export"]) & (FLEET.roster.rated_w != 22_000.0)
"""Meters without solar plants and cars: their power is all load."""


@contextmanager
def grid_of_meters(running: Instance, output: Path) -> Iterator[httpx.Client]:
    """Meters that report twice a second for an organisation, and somebody of it."""
    options = ["--world", "grid", "--meters", str(METERS), "--seed", str(SEED), "--interval", "0.5s"]
    process = spawn(running, output, *options, "--organisation", "city")
    try:
        wait_until(lambda: b"cycle 2" in output.read_bytes(), WITHIN_S, "two cycles")
        key = json.loads((running.data / "secrets.json").read_text())["simulation"]["city"]
        base_url = f"http://127.0.0.1:{running.run_file()['port']}/api/v1"
        with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
            yield http
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == 0, output.read_text()


def latest(http: httpx.Client, metric: str = "power") -> list[tuple[int, int, float]]:
    """The newest value of each meter: its place, when, and what."""
    items = http.get("/readings/latest").json()["items"]
    return [
        (FLEET.roster.ids.index(item["device"]), to_us(datetime.fromisoformat(one["ts"])), one["value"])
        for item in items
        for one in item["metrics"]
        if one["metric"] == metric
    ]


def beside_usual(http: httpx.Client, metric: str = "power") -> dict[int, float]:
    """The newest value of each meter, as a part of what it would be without any scenario."""
    found = latest(http, metric)
    device, ts_us, value = (np.array(column) for column in zip(*found, strict=True))
    usual = FLEET.measure(device.astype(np.int32), ts_us, USUAL)[metric]
    return dict(zip(device.tolist(), (value / usual).tolist(), strict=True))


def climbs(http: httpx.Client) -> list[float]:
    """By region, how far the loads of its meters are from usual at least."""
    shown = beside_usual(http)
    places = [np.flatnonzero(PLAIN & (FLEET.roster.region == region)).tolist() for region in range(5)]
    return [round(min(shown[place] for place in here), 2) for here in places]


def make_rule(http: httpx.Client) -> None:
    """A rule about all loads of the south: a fifth above the highest of now, for two seconds."""
    wanted = {"name": "South", "kind": "area", "region": "south", "time_zone": "Europe/Berlin"}
    site = http.post("/sites", json=wanted)
    assert site.status_code == 201, site.text
    south = [place for place in np.flatnonzero(PLAIN) if FLEET.roster.region[place] == 1]
    for place in south:
        moved = http.patch(f"/devices/{FLEET.roster.ids[place]}", json={"site_id": site.json()["id"]})
        assert moved.status_code == 200, moved.text
    device = np.repeat(np.array(south, np.int32), 200)
    moments = np.tile(max(ts_us for _, ts_us, _ in latest(http)) + np.arange(200) * 500_000, len(south))
    highest = float(FLEET.measure(device, moments, USUAL)["power"].max())
    rule = {
        "name": "The south is hot", "site_id": site.json()["id"], "metric": "power", "operator": ">",
        "threshold": 1.2 * highest, "clear_threshold": 1.1 * highest, "for_s": 2, "severity": "high",
    }  # fmt: skip
    made = http.post("/rules", json=rule)
    assert made.status_code == 201, made.text


def alerts(http: httpx.Client) -> list[str]:
    """How the alerts of rules stand."""
    return [one["status"] for one in http.get("/alerts", params={"kind": "rule"}).json()["items"]]


def test_meters_follow_a_heat_wave_rules_fire_and_all_comes_back(running: Instance, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with grid_of_meters(running, output) as http:
        wait_until(lambda: len(latest(http)) == METERS, WITHIN_S, "all meters")
        assert set(beside_usual(http).values()) == {1.0}
        make_rule(http)
        assert alerts(http) == []
        wave = http.post("/simulation/scenario", json={"scenario_id": "heat_wave"})
        assert wave.status_code == 200, wave.text

        hot = [1.31, 1.5, 1.36, 1.4, 1.45]
        wait_until(lambda: climbs(http) == hot, WITHIN_S, "regions that are as hot as the wave says")
        wait_until(lambda: "open" in alerts(http), WITHIN_S, "the alert")
        assert http.patch("/simulation/state", json={"speed": 3600}).status_code == 200
        assert http.post("/simulation/stop").json()["success"]
        wait_until(lambda: set(alerts(http)) == {"resolved"}, WITHIN_S, "the end of the alert")

        def is_usual() -> bool:
            return set(beside_usual(http).values()) == set(beside_usual(http, "voltage").values()) == {1.0}

        wait_until(is_usual, WITHIN_S, "usual readings")
    said = output.read_text()
    assert "heat_wave active" in said
    assert "heat_wave settling" in said


async def test_no_word_is_lost_when_the_server_is_killed_and_who_joins_knows_all_streams(
    running: Instance, http: httpx.Client
) -> None:
    await asyncio.to_thread(change, http, world="marketplace", speed=3600)
    numbers: list[int] = []
    client = await Client.connect(running.run_file()["addresses"]["nats_url"], name="test")

    def take(_: str, message: bytes) -> None:
        event = LiveEvent.decode(message)
        if event.type == "stream":
            numbers.append(event.number)

    async def knows_the_simulator() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await asyncio.to_thread(http.get, "/simulation/state")).status_code == 200
        return False

    await client.subscribe(EVENTS_SUBJECT, take)
    await holds(lambda: len(numbers) > 200, "words of streams")
    os.kill(running.pid("server"), signal.SIGKILL)
    await until(knows_the_simulator, "the server with the simulator", WITHIN_S)
    count = len(numbers)
    await holds(lambda: len(numbers) > count + 1000, "words after the break")
    assert list(dict.fromkeys(numbers)) == list(range(numbers[0], numbers[-1] + 1))
    state = await asyncio.to_thread(ask, http, "state")
    assert state["lost"] == 0
    log = (running.data / "log" / "simulator.log").read_text(encoding="utf-8")
    assert log.index("the server is away") < log.index("the server is back")
    await asyncio.to_thread(change, http, speed=0)
    os.kill(running.pid("server"), signal.SIGKILL)
    await until(knows_the_simulator, "the server with the simulator again", WITHIN_S)
    told = await asyncio.to_thread(join, running, http, 50)
    assert all(one["type"] == "latest" for one in told.values())
    await client.close()


def join(running: Instance, http: httpx.Client, count: int) -> dict[str, dict[str, Any]]:
    """Joins and hears of so many streams; what was told of each."""
    told: dict[str, dict[str, Any]] = {}
    bearer = {"Authorization": http.headers["Authorization"]}
    address = f"ws://127.0.0.1:{running.run_file()['port']}/api/v1/live"
    with connect(address, additional_headers=bearer) as socket:
        socket.send(json.dumps({"type": "subscribe", "topics": ["frequency.*"]}))
        while len(told) < count:
            for message in json.loads(socket.recv(timeout=WITHIN_S)).get("messages", []):
                told[message["data"]["stream"]] = message
    return told
