"""A kettle left on standby, on a whole instance: found, told of by mail, looked after, and switched off."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import msgspec
import psycopg
import pytest

from kilowatch.simulator.pretend.device import PretendDevice
from kilowatch.simulator.pretend.wire import answer_all, subscribe
from tests.cli.conftest import Instance
from tests.post import Post, open_post
from tests.worker.house import until

OWNER = {"email": "ada@example.org", "password": "a kettle on the veranda"}
HUMS_W = 41.0


@pytest.fixture
def post() -> Iterator[Post]:
    with open_post() as kept:
        yield kept


@pytest.fixture
def house(post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """An instance whose mail goes to that server."""
    monkeypatch.setenv("KILOWATCH_SMTP_URL", f"smtp://127.0.0.1:{post.port}")
    monkeypatch.setenv("KILOWATCH_USER_REQUESTS_PER_MINUTE", "0")  # who waits asks often
    instance = Instance(Path(os.path.realpath(tmp_path)) / "data")
    instance.start()
    yield instance
    instance.stop()


def code_in(post: Post) -> str:
    found = re.search(r"\b\d{6}\b", post.letters[-1].get_content())
    assert found is not None
    return found[0]


async def move_in(http: httpx.AsyncClient, post: Post) -> str:
    """Signs somebody up who wants mail of everything; the slug of their home."""
    assert (await http.post("/auth/signup", json=OWNER | {"name": "Ada"})).status_code == 202
    shown = await http.post("/auth/verify", json={"email": OWNER["email"], "code": code_in(post)})
    http.headers["Authorization"] = f"Bearer {shown.json()['access_token']}"
    channel = {"name": "mail", "address": f"mailto:{OWNER['email']}", "severity": "low"}
    made = await http.post("/notification-channels", json=channel)
    assert made.status_code == 201, made.text
    later = {"after_minutes": 1, "channel_id": made.json()["id"], "repeat_minutes": 1, "repeats": 5}
    wished = await http.put("/notification-preferences", json={"severity": "low", "escalation": [later]})
    assert wished.status_code == 200, wished.text
    return str((await http.get("/me")).json()["organisations"][0]["slug"])


@asynccontextmanager
async def kettle_at_home(house: Instance, slug: str, token: str) -> AsyncIterator[PretendDevice]:
    """A kettle that hums until it is switched off."""
    kettle = PretendDevice(state="standby")
    async with aiomqtt.Client(
        "127.0.0.1",
        house.run_file()["mqtt_port"],
        username=f"{slug}/kettle",
        password=token,
        identifier=f"{slug}/kettle",
    ) as mqtt:
        await subscribe(mqtt, slug, {"kettle": kettle})

        async def hum() -> None:
            while True:
                told = {"metrics": {"power": 0.0 if kettle.state == "off" else HUMS_W}}
                await mqtt.publish(f"{slug}/devices/kettle/telemetry", msgspec.json.encode(told), qos=1)
                await asyncio.sleep(0.3)

        playing = [asyncio.create_task(hum()), asyncio.create_task(answer_all(mqtt, {"kettle": kettle}))]
        try:
            yield kettle
        finally:
            for task in playing:
                task.cancel()
            await asyncio.wait(playing)


async def test_a_kettle_left_on_standby_is_told_of_and_switched_off(house: Instance, post: Post) -> None:
    url = f"http://127.0.0.1:{house.run_file()['port']}/api/v1"
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        slug = await move_in(http, post)
        wanted = {"id": "kettle", "name": "Kettle", "type": "appliance", "idle_threshold_w": 5.0}
        assert (await http.post("/devices", json=wanted)).status_code == 201
        made = (await http.post("/devices/kettle/token")).json()
        token = made["token"]
        assert made["mqtt_port"] == house.run_file()["mqtt_port"]
        assert (await http.post("/devices/kettle/state", json={"state": "standby"})).status_code == 200

        async def alerts(**query: str) -> list[dict[str, Any]]:
            asked = {"device_id": "kettle", "kind": "phantom_load", **query}
            return list((await http.get("/alerts", params=asked)).json()["items"])

        async with kettle_at_home(house, slug, token) as kettle:

            async def is_found() -> bool:
                return len(await alerts(status="open")) == 1

            await until(is_found, "the alert")
            (alert,) = await alerts(status="open")
            assert (alert["value"], alert["excess_w"]) == (HUMS_W, HUMS_W - 5.0)

            async def mailed() -> bool:
                return any(alert["title"] in str(letter["Subject"]) for letter in post.letters)

            await until(mailed, "the mail")
            (told,) = (await http.get("/notifications")).json()["items"]
            assert (told["alert_id"], told["title"]) == (alert["id"], alert["title"])
            assert steps_ahead(house) > 0
            looked_after = {"comment": "I am on my way"}
            seen = await http.post(f"/alerts/{alert['id']}/acknowledge", json=looked_after)
            assert (seen.status_code, seen.json()["status"]) == (200, "acknowledged")
            assert steps_ahead(house) == 0

            wish = {"name": "set_state", "arguments": {"state": "off"}, "expires_in_s": 60}
            sent = await http.post("/devices/kettle/commands", json=wish, headers={"Idempotency-Key": "once"})
            assert (sent.status_code, sent.json()["status"]) == (202, "queued")

            async def is_done() -> bool:
                return bool(
                    (await http.get(f"/commands/{sent.json()['id']}")).json()["status"] == "succeeded"
                )

            await until(is_done, "the kettle's answer")
            assert kettle.done == [sent.json()["id"]]
            assert (await http.get("/devices/kettle")).json()["state"] == "off"

            async def is_over() -> bool:
                return [one["status"] for one in await alerts()] == ["resolved"]

            await until(is_over, "the end of the alert")
        assert [one["id"] for one in await alerts()] == [alert["id"]]


def steps_ahead(house: Instance) -> int:
    """How many escalations go on."""
    with psycopg.connect(house.run_file()["addresses"]["owner_url"]) as connection:
        row = connection.execute("SELECT count(*) FROM kilowatch.escalations WHERE ended_at IS NULL")
        return int((row.fetchone() or (0,))[0])
