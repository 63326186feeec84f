"""Commands from the command line, on an instance that runs, to a device that answers."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kilowatch.simulator.pretend.device import PretendDevice
from kilowatch.simulator.pretend.wire import Login, play
from tests.cli.conftest import Instance, run_kw

WITHIN_S = 20.0


def facts(running: Instance, *arguments: str, code: int = 0) -> Any:
    printed = run_kw(*arguments, "--json", "--data", str(running.data))
    assert printed.returncode == code, printed.stderr
    return json.loads(printed.stdout)


def refusal(running: Instance, *arguments: str) -> str:
    refused = run_kw("command", *arguments, "--organisation", "kitchen", "--data", str(running.data))
    assert refused.returncode == 1, refused.stdout
    assert "Traceback" not in refused.stderr
    return refused.stderr


@contextmanager
def plugged_in(login: Login, name: str, device: PretendDevice) -> Iterator[None]:
    """The device at work in a thread of its own."""
    loop = asyncio.new_event_loop()
    there = threading.Event()

    async def work() -> None:
        ready = asyncio.Event()
        playing = asyncio.create_task(play(login, {name: device}, ready))
        await ready.wait()
        there.set()
        await asyncio.gather(playing, return_exceptions=True)

    task = loop.create_task(work())
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    )
    thread.start()
    try:
        assert there.wait(WITHIN_S)
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(WITHIN_S)
        loop.close()


def test_a_command_is_sent_and_listed(running: Instance) -> None:
    wish = ("--organisation", "kitchen", "--create", "--scopes", "ingest", "--auto-register")
    key = facts(running, "key", "create", *wish)["key"]
    kitchen = ("--organisation", "kitchen")
    assert "no device 'kettle'" in refusal(running, "send", "kettle", "toggle")
    run_file = running.run_file()
    lamp = PretendDevice()
    body = json.dumps({"device": "kettle", "metrics": {"power": 1.0}}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{run_file['port']}/api/v1/readings"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        assert answer.status == 202
    token = facts(running, "device", "token", "kettle", *kitchen)["token"]
    login = Login("127.0.0.1", run_file["mqtt_port"], "kitchen/kettle", token, "kitchen/kettle")
    off = ("command", "send", "kettle", "set_state", "--arguments", '{"state": "off"}', *kitchen)
    with plugged_in(login, "kettle", lamp):
        done = facts(running, *off, "--wait")
        assert (done["status"], done["detail"], done["requested_by"]) == (
            "succeeded",
            "I am off now.",
            "operator",
        )
        lamp.manner = "refusing"
        refused = facts(running, "command", "send", "kettle", "toggle", "--wait", *kitchen, code=1)
        assert (refused["status"], lamp.state) == ("failed", "off")
    waiting = facts(running, *off)
    assert waiting["status"] == "queued"
    listed = facts(running, "command", "list", "--device", "kettle", *kitchen)
    assert [one["id"] for one in listed] == [waiting["id"], refused["id"], done["id"]]
    ended = facts(running, "command", "list", "--status", "failed", "--limit", "1", *kitchen)
    assert [one["id"] for one in ended] == [refused["id"]]


def test_mistakes_are_told_in_one_line(running: Instance) -> None:
    facts(running, "key", "create", "--organisation", "kitchen", "--create", "--scopes", "ingest")
    assert "arguments is a JSON object" in refusal(running, "send", "kettle", "x", "--arguments", "[1]")
    assert "arguments is a JSON object" in refusal(running, "send", "kettle", "x", "--arguments", "{")
    assert "set_state takes state" in refusal(running, "send", "kettle", "set_state")
    assert "expires_in_s is 1 to" in refusal(running, "send", "kettle", "x", "--expires-in", "0")
    assert "no device" in refusal(running, "list", "--device", "never-was")
