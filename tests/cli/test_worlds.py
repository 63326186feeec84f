"""Worlds in a whole instance: a crisis on a button, seen live, asked about, taken back."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.cli.conftest import Instance, run_kw
from tests.conftest import wait_until

WITHIN_S = 60.0


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


def test_a_crisis_is_begun_seen_live_explained_and_taken_back(running: Instance, http: httpx.Client) -> None:
    ids = {one["id"] for one in ask(http, "scenarios")["items"]}
    assert {"heat_wave", "payment-outage", "ghost_walk", "islanding"} <= ids
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
    assert causes[0]["event"]["id"] in {event["id"] for event in begun.json()["events"]}
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
