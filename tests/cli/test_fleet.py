"""`kw simulate --world` against a whole instance: both doors, through a restart, captured and replayed."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kilowatch.simulator.fleet.grid import Grid
from tests.cli.conftest import Instance, run_kw
from tests.conftest import wait_until

WITHIN_S = 60.0


def simulate(instance: Instance, *options: str) -> list[dict[str, Any]]:
    """Runs it to its end; its JSON lines."""
    done = run_kw("simulate", "--data", str(instance.data), "--json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def spawn(instance: Instance, output: Path, *options: str) -> subprocess.Popen[bytes]:
    """Runs it beside the test."""
    command = [sys.executable, "-m", "kilowatch.cli.main", "simulate", "--data", str(instance.data)]
    with open(output, "wb") as out:
        return subprocess.Popen([*command, *options], stdout=out, stderr=out)


def reader(instance: Instance, organisation: str) -> httpx.Client:
    """A client of the organisation."""
    wish = ["--organisation", organisation, "--scopes", "read", "--data", str(instance.data)]
    key = json.loads(run_kw("key", "create", *wish).stdout)["key"]
    url = f"http://127.0.0.1:{instance.run_file()['port']}/api/v1"
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def count_raw(http: httpx.Client, device: str, metric: str = "power") -> int:
    """How many samples of a metric are stored."""
    now = datetime.now(UTC)
    asked = {"start": (now - timedelta(days=2)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    answer = http.get(f"/devices/{device}/readings", params={**asked, "resolution": "raw", "metrics": metric})
    return len(answer.json()["series"][0]["points"]) if answer.is_success and answer.json()["series"] else 0


def test_a_grid_is_played_with_its_devices_described(running: Instance) -> None:
    options = ["--world", "grid", "--meters", "30", "--regions", "north,south", "--seed", "7"]
    lines = simulate(running, *options, "--interval", "60s", "--speed", "3600", "--iterations", "20")
    assert [line["cycle"] for line in lines] == [*range(1, 21), 0]
    assert (lines[-1]["sent"], lines[-1]["accepted"], lines[-1]["refused"]) == (600, 600, 0)
    assert (lines[-1]["buffered"], lines[-1]["lost"]) == (0, 0)
    with reader(running, "simulation") as http:
        devices = {one["id"]: one for one in http.get("/devices?limit=500").json()["items"]}
        roster = Grid(30, 7, ["north", "south"]).roster
        assert devices.keys() == set(roster.ids)
        for place, one in enumerate(devices[name] for name in roster.ids):
            assert (one["region"], one["type"]) == (
                roster.regions[roster.region[place]],
                roster.types[roster.type[place]],
            )
            assert one["rated_power_w"] == roster.rated_w[place]
        wait_until(lambda: count_raw(http, "meter-000029", "energy") == 20, WITHIN_S, "all readings")


def test_the_same_key_is_used_again_and_one_that_was_revoked_is_replaced(running: Instance) -> None:
    options = ["--world", "plant", "--meters", "2", "--organisation", "works", "--interval", "1s"]
    secrets = running.data / "secrets.json"
    kept = []
    for revoke in (False, True, False):
        simulate(running, *options, "--iterations", "1")
        kept.append(json.loads(secrets.read_text())["simulation"]["works"])
        if revoke:
            url = f"http://127.0.0.1:{running.run_file()['port']}/api/v1"
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {kept[-1]}"}) as http:
                key_id = http.get("/api-keys").json()["items"][0]["id"]
                assert http.delete(f"/api-keys/{key_id}").is_success
    assert kept[0] == kept[1] != kept[2]


def test_a_capture_over_mqtt_is_replayed_over_http_faster(running: Instance, tmp_path: Path) -> None:
    capture = tmp_path / "homes.arrow"
    played = ["--organisation", "homes", "--world", "home", "--interval", "1s", "--iterations", "4"]
    first = simulate(running, *played, "--mode", "mqtt", "--capture", str(capture))
    assert (first[-1]["sent"], first[-1]["accepted"]) == (32, 32)
    again = ["--organisation", "others", "--replay", str(capture)]
    for options, total in ((["--speed", "10", "--form", "json"], 4), (["--keep-times"], 8)):
        lines = simulate(running, *again, *options)
        assert (lines[-1]["sent"], lines[-1]["accepted"], len(lines)) == (32, 32, 5)
        with reader(running, "others") as http:
            wait_until(lambda: count_raw(http, "home-1-fridge") == total, WITHIN_S, "all readings")  # noqa: B023
    with reader(running, "homes") as http:
        wait_until(lambda: count_raw(http, "home-1-fridge") == 4, WITHIN_S, "all readings")
    exists = run_kw("simulate", "--data", str(running.data), *played, "--capture", str(capture))
    assert (exists.returncode, "overwrites no file" in exists.stderr) == (1, True)


def test_a_run_stops_when_it_is_told_to_and_leaves_nothing_unsent(running: Instance, tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = spawn(running, output, "--world", "microgrid", "--interval", "0.1s")
    wait_until(lambda: b"cycle 3" in output.read_bytes(), WITHIN_S, "three cycles")
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    last = output.read_text().splitlines()[-1]
    assert last.startswith("all  ")
    assert last.endswith("buffered 0")


def test_nothing_is_lost_while_the_instance_is_away(instance: Instance, tmp_path: Path) -> None:
    instance.start()
    options = ["--world", "grid", "--meters", "5", "--interval", "0.5s"]
    outputs = {mode: tmp_path / mode for mode in ("http", "mqtt")}
    processes = {
        mode: spawn(instance, output, *options, "--mode", mode, "--organisation", mode)
        for mode, output in outputs.items()
    }

    def wait_for(said: bytes) -> None:
        for output in outputs.values():
            wait_until(lambda: said in output.read_bytes(), WITHIN_S, said.decode())  # noqa: B023

    wait_for(b"cycle 3")
    os.kill(instance.pid("server"), signal.SIGKILL)
    http_said = outputs["http"].read_bytes
    wait_until(lambda: b"instance is back" in http_said(), WITHIN_S, "the server again")
    instance.stop()
    wait_until(lambda: http_said().count(b"instance is away") == 2, WITHIN_S, "a second break")
    wait_for(b"instance is away")
    instance.start()
    wait_until(lambda: http_said().count(b"instance is back") == 2, WITHIN_S, "the instance again")
    wait_for(b"instance is back")
    for mode, process in processes.items():
        process.send_signal(signal.SIGINT)
        said = outputs[mode].read_text
        assert process.wait(WITHIN_S) == 0, said()
        cycles = [line for line in said().splitlines() if line.startswith("cycle")]
        assert said().endswith("buffered 0\n")
        with reader(instance, mode) as http:
            for device in ("meter-000000", "meter-000004"):
                wait_until(lambda: count_raw(http, device) == len(cycles), WITHIN_S, "all readings")  # noqa: B023


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--world", "mars"], 1, "there are grid, home, marketplace, microgrid, plant"),
        (["--world", "marketplace"], 1, "has no devices"),
        (["--world", "grid", "--mode", "pigeon"], 2, "one of http, mqtt"),
        (["--world", "grid", "--replay", "x"], 2, "either --world or --replay"),
        (["--scenario", "heat_wave"], 2, "--scenario goes with --world"),
        (["--world", "grid", "--scenario", "volcano"], 1, "no scenario 'volcano'"),
        (["--world", "grid", "--scenario", "heat_wave", "--scenario-after", "soon"], 1, "a span is"),
        (["--world", "grid", "--interval", "soon"], 1, "a span is a number of seconds"),
        (["--world", "grid", "--start", "2100-01-01"], 1, "future"),
        (["--world", "grid", "--start", "yesterday"], 2, "no time"),
        (["--world", "plant", "--start", "0001-01-01T00:00+14:00"], 1, "before 2020"),
        (["--world", "grid", "--regions", "north,atlantis"], 1, "no region 'atlantis'; there are north"),
        (["--replay", "nothing.arrow"], 1, "no capture"),
        (["--world", "grid"], 1, "No instance runs"),
    ],
)
def test_what_cannot_be_played_is_said(tmp_path: Path, options: list[str], code: int, said: str) -> None:
    done = run_kw("simulate", "--data", str(tmp_path), *options)
    assert done.returncode == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
