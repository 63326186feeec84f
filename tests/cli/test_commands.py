"""The commands beside `kw up`: facts, keys, and mistakes told in one line."""

import json
import socket
from pathlib import Path

import httpx
import pytest

from kilowatch.accounts.mail import FolderMail
from kilowatch.cli.bench.mqtt_client import connect_packet
from kilowatch.cli.facts import list_settings
from kilowatch.settings import load_settings
from tests.cli.conftest import Instance, run_kw


def test_settings_lists_every_one_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_POSTGRES_URL", "postgresql://me:hidden@host/db")
    monkeypatch.setenv("KILOWATCH_PORT", "9000")
    facts = {fact["name"]: fact for fact in list_settings(load_settings())}
    assert (facts["KILOWATCH_PORT"]["value"], facts["KILOWATCH_PORT"]["default"]) == (9000, 8000)
    assert facts["KILOWATCH_POSTGRES_URL"]["value"] == "***"
    assert "hidden" not in json.dumps(facts)
    assert all(fact["description"] for fact in facts.values())


def test_settings_prints_json() -> None:
    printed = run_kw("settings", "--json")
    assert printed.returncode == 0
    assert {"name", "value", "default", "description"} == set(json.loads(printed.stdout)[0])


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_PORT", "99999")
    refused = run_kw("settings")
    assert refused.returncode == 1
    assert "KILOWATCH_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_command_without_an_instance_says_so(tmp_path: Path) -> None:
    refused = run_kw("key", "create", "--organisation", "home", "--scopes", "read", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "No instance runs" in refused.stderr


async def test_mail_shows_the_letters_that_were_written(tmp_path: Path) -> None:
    none = run_kw("mail", "--data", str(tmp_path))
    assert (none.returncode, "There is no mail" in none.stderr) == (1, True)
    folder = FolderMail(tmp_path / "mail", "Kilowatch <kilowatch@localhost>")
    await folder.send("ada@example.org", "First", "Grüße, Ada")
    await folder.send("ben@example.org", "Second", "Hello Ben")
    last = run_kw("mail", "--data", str(tmp_path))
    assert last.returncode == 0
    assert "Hello Ben" in last.stdout
    assert "Grüße" not in last.stdout
    every = json.loads(run_kw("mail", "--all", "--json", "--data", str(tmp_path)).stdout)
    assert [(letter["to"], letter["text"].strip()) for letter in every] == [
        ("ada@example.org", "Grüße, Ada"),
        ("ben@example.org", "Hello Ben"),
    ]


def test_an_unknown_option_is_a_usage_error() -> None:
    assert run_kw("up", "--nonsense").returncode == 2


def test_doctor_without_an_instance_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOWATCH_PORT", "0")
    monkeypatch.setenv("KILOWATCH_MQTT_PORT", "0")
    printed = run_kw("doctor", "--json", "--data", str(tmp_path))
    assert printed.returncode == 0, printed.stdout
    assert {"time zones", "disk", "programs", "ports"} <= {
        check["name"] for check in json.loads(printed.stdout)["checks"]
    }


def test_keys_of_a_running_instance(running: Instance) -> None:
    data = ["--data", str(running.data)]
    missing = run_kw("key", "create", "--organisation", "home", "--scopes", "ingest", *data)
    assert missing.returncode == 1
    assert "--create" in missing.stderr
    made = run_kw("key", "create", "--organisation", "home", "--create", "--scopes", "ingest,read", *data)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["key"].startswith("kw_")
    wrong = run_kw("key", "create", "--organisation", "home", "--scopes", "everything", *data)
    assert wrong.returncode == 1
    assert "scopes" in wrong.stderr


def test_device_tokens_of_a_running_instance(running: Instance) -> None:
    data = ["--data", str(running.data)]
    key = ["key", "create", "--organisation", "tokens", "--create", "--scopes", "admin", *data]
    admin = json.loads(run_kw(*key).stdout)["key"]
    run_file = running.run_file()
    headers = {"Authorization": f"Bearer {admin}"}
    made = httpx.post(
        f"http://127.0.0.1:{run_file['port']}/api/v1/devices", json={"id": "D1"}, headers=headers
    )
    assert made.status_code == 201
    wish = ["device", "token", "--organisation", "tokens"]
    told = json.loads(run_kw(*wish, "D1", *data).stdout)
    assert list(told) == ["token"]
    assert told["token"].startswith("kwd_")
    more = json.loads(run_kw(*wish, "D1", "--json", *data).stdout)
    assert (more["user"], more["device"]) == ("tokens/D1", "D1")
    for password, code in ((told["token"], 5), (more["token"], 0)):
        assert log_in(run_file["mqtt_port"], more["user"], password) == code
    assert "no organisation" in run_kw("device", "token", "--organisation", "nobody", "D1", *data).stderr
    assert "no device" in run_kw(*wish, "D9", *data).stderr


def log_in(port: int, user: str, password: str) -> int:
    """What the MQTT server answers to a login: 0 for one that is let in, 5 for one that is not."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(connect_packet(user, user, password))
        return connection.recv(4)[3]


def test_doctor_finds_a_running_instance_well(running: Instance) -> None:
    printed = run_kw("doctor", "--json", "--data", str(running.data))
    assert printed.returncode == 0, printed.stdout
    checks = {check["name"] for check in json.loads(printed.stdout)["checks"]}
    assert {"postgresql", "log", "devices' inbox", "server", "processes"} <= checks
