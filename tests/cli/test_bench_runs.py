"""Short real runs of every bench on a real instance: the figures are there, and the accounts are right."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from rich.progress import Progress

from kilowatch.cli.bench import control, ingest, live, logins, peers, profiles, query, rules, stage
from kilowatch.cli.bench.instance import Instance, running_instance
from kilowatch.cli.bench.load import Form
from kilowatch.clock import SystemClock

RUN_WITHIN_S = 300.0


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One instance for all loads of this module."""
    with running_instance(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture
def bars() -> Progress:
    """Progress that is not shown."""
    return Progress(console=Console(stderr=True), disable=True)


def kw_bench(*arguments: str, folder: Path) -> tuple[int, Any]:
    """Runs a bench as people do; exit code and the JSON that it printed."""
    command = [
        sys.executable,
        "-m",
        "kilowatch.cli.main",
        "bench",
        *arguments,
        "--json",
        "--folder",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


FORMS: list[tuple[Form, int]] = [
    ("json", 2), ("ndjson", 2), ("arrow", 2), ("influx", 2), ("single", 16), ("mqtt", 2),
]  # fmt: skip


@pytest.mark.parametrize(("form", "connections"), FORMS)
def test_a_load_is_counted(instance: Instance, bars: Progress, form: Form, connections: int) -> None:
    first = 10_000 * (1 + FORMS.index((form, connections)))
    wish = ingest.Wish(form, 120, 3, connections=connections, seconds=0.7, window=20, first_device=first)
    result = ingest.load_instance(instance, wish, bars)
    assert result["accepted"] > 0
    assert result["accepted"] % result["batch"] == 0
    assert 0 < result["ack_ms"]["p50"] <= result["ack_ms"]["p99"]
    assert result["registered"] == result["devices"]
    assert result["client"]["cpu_s"] > 0
    assert {"server", "worker", "nats"} <= set(result["cpu_s_per_million"])
    assert result["lag"]["stored_after_s"] >= 0


def test_a_paced_load_keeps_its_pace(instance: Instance, bars: Progress) -> None:
    wish = ingest.Wish("json", 100, 1, batch=10, connections=4, seconds=2.0, pace=400.0, first_device=1000)
    result = ingest.load_instance(instance, wish, bars)
    assert 300 <= result["readings_per_s"] <= 450


def test_marked_readings_are_seen(instance: Instance, bars: Progress) -> None:
    result = asyncio.run(live.watch_instance(instance, live.Wish(2000.0, 1.5, 200), bars))
    assert result["marked"] > 10
    for kind in live.KINDS:
        assert result[kind]["marked"] > 0
        assert 0 < result[kind]["sent_to_seen_ms"]["p50"] < 10_000
    assert live.rows_of({**result, "machine": {}})


def test_what_was_filled_in_is_read_back(instance: Instance, bars: Progress) -> None:
    wish = query.Wish(8000, devices=4, metrics=2, questions=4)
    filling = query.plan_filling(wish, SystemClock().now_us())
    assert filling.readings == 4000
    headers = {"Authorization": f"Bearer {instance.create_key('query')}"}
    query.fill(instance, filling, headers, bars)
    result = query.ask_all(instance, filling, wish, headers, bars)
    assert result["one_day_raw_points"] == pytest.approx(1000 / 35, abs=1.5)
    assert 700 <= result["thirty_days_by_hour_points"] <= 722
    weight = instance.ask("kilowatch.cli.bench.storage", str(instance.data))
    assert weight["samples"] > 8000
    assert weight["bytes_per_sample"] > 1


def test_devices_log_in_and_one_is_ended(tmp_path: Path) -> None:
    code, result = kw_bench("logins", "--devices", "50", "--at-a-time", "8", folder=tmp_path)
    assert code == 0
    assert (result["let_in"], result["refused"]) == (50, 0)
    assert result["logins_per_minute"] > 50
    assert 0 < result["login_ms"]["p50"] <= result["login_ms"]["most"]
    assert result["ended_after_ms"] < 1000
    assert logins.rows_of(result)


def test_commands_are_delivered_in_their_order(instance: Instance, bars: Progress) -> None:
    result = control.run(instance, control.Wish(20, connections=4, seconds=1.5), bars)
    assert result["accepted"] > 10
    assert (result["lost"], result["out_of_order"], result["right"]) == (0, 0, True)
    assert 0 < result["ack_ms"]["p50"] <= result["to_device_ms"]["most"]
    assert control.rows_of({**result, "load_after": 0.0})


def test_rules_are_at_work_while_they_are_measured(tmp_path: Path) -> None:
    asked = ("--rules", "40", "--devices", "40", "--rate", "500", "--seconds", "3")
    code, result = kw_bench("rules", *asked, folder=tmp_path)
    assert code == 0, result
    assert result["rules"] == 40
    assert result["raised"] > 0
    assert 0 < result["looking_s"] < 3
    for one in (result["alerts_idle"], result["alerts_loaded"]):
        assert one["alerts"] > 0
        assert one["accepted_to_told_ms"]["most"] <= one["sent_to_told_ms"]["most"]
    assert rules.rows_of(result)


def test_worlds_are_seen_by_all_clients(instance: Instance, bars: Progress) -> None:
    result = asyncio.run(stage.watch_instance(instance, stage.Wish(3, 2.0, 0.0), bars))
    for name in ("real_time", "fast"):
        assert result[name]["known_on_joining"] == 50
    assert result["fast"]["words_per_s"] > result["real_time"]["words_per_s"]
    assert 0 < result["fast"]["told_to_seen_ms"]["p50"] < 10_000
    assert result["simulator_mb"]["most"] >= result["simulator_mb"]["first"] > 10
    engine = stage.measure_engine(1)
    assert all(took_ms > 0 for took_ms in engine.values())
    assert stage.rows_of({**result, "engine_ms": engine})


def test_a_load_is_judged_by_what_was_promised(instance: Instance, bars: Progress) -> None:
    results = [
        profiles.run(instance, replace(one, connections=4), 1.5, instance.create_key("judged"), number, bars)
        for number, one in zip((0, 1000), profiles.PROFILES, strict=True)
    ]
    for result, planned in zip(results, (250, 2500), strict=True):
        assert result.planned == planned
        assert result.accepted == result.attempted >= 0.8 * planned
        assert (result.errors, 0 < result.p50_ms <= result.p95_ms) == ({}, True)
    assert [result.batch for result in results] == [1, 100]
    told = {"profiles": [one.as_document() for one in results], "beyond": []}
    assert profiles.rows_of(told)


def test_a_run_leaves_nothing_behind(tmp_path: Path) -> None:
    code, result = kw_bench("ingest", "--seconds", "1", "--devices", "100", folder=tmp_path)
    assert code == 0
    assert result["storage"]["samples"] == 4 * (result["accepted"] + result["registered"])
    assert sum(result["memory_mb"].values()) > 50
    assert list(tmp_path.iterdir()) == []
    assert not [one for one in psutil.process_iter() if _mentions(one, str(tmp_path))]


def test_the_account_is_right_while_processes_are_killed(tmp_path: Path) -> None:
    code, result = kw_bench("accounting", "--seconds", "8", "--kill-every", "2", folder=tmp_path)
    assert code == 0, result
    assert (result["lost"], result["twice"], result["wrong"], result["refused_stored"]) == (0, 0, 0, 0)
    assert sum(result["killed"].values()) >= 2
    assert all(door["accepted"] > 0 for door in result["doors"].values())
    assert result["verified"]


def test_peers_are_compared_or_named(tmp_path: Path) -> None:
    if any(shutil.which(program) for program in peers.PROGRAMS.values()):
        code, result = kw_bench("peers", "--seconds", "1", "--devices", "200", folder=tmp_path)
        assert code == 0
        assert result["ratio"]
        assert all(ratio > 0 for ratio in result["ratio"].values())
        return
    command = [sys.executable, "-m", "kilowatch.cli.main", "bench", "peers"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
    assert done.returncode == 1
    assert "apt-get install victoria-metrics influxdb" in done.stderr


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        return text in " ".join(process.cmdline())
    except psutil.Error:
        return False
