"""People and organisations from the command line, on an instance that runs."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pyotp
import pytest

from tests.cli.conftest import Instance, run_kw

PASSWORD = "correct horse battery"


def facts(running: Instance, *arguments: str) -> Any:
    printed = run_kw(*arguments, "--json", "--data", str(running.data))
    assert printed.returncode == 0, printed.stderr
    return json.loads(printed.stdout)


def refusal(running: Instance, *arguments: str) -> str:
    refused = run_kw(*arguments, "--data", str(running.data))
    assert refused.returncode == 1, refused.stdout
    assert "Traceback" not in refused.stderr
    return refused.stderr


def ask(running: Instance, path: str, body: dict[str, str] | None = None, token: str = "") -> Any:
    url = f"http://127.0.0.1:{running.run_file()['port']}/api/v1/{path}"
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
        return json.loads(answer.read())


def log_in(running: Instance, email: str, password: str) -> str:
    return str(ask(running, "auth/login", {"email": email, "password": password})["access_token"])


def test_a_user_is_made_appointed_and_shut_out(running: Instance) -> None:
    works = facts(running, "org", "create", "works", "--name", "Steel works")
    assert (works["slug"], works["name"]) == ("works", "Steel works")
    made = facts(
        running, "user", "create", "Ada@example.org", "--name", "Ada", "--organisation", "works",
        "--role", "operator",
    )  # fmt: skip
    assert (made["email"], made["role"]) == ("ada@example.org", "operator")
    token = log_in(running, "ada@example.org", made["password"])
    me = ask(running, "me", token=token)
    assert {one["slug"]: one["role"] for one in me["organisations"] if not one["is_personal"]} == {
        "works": "operator"
    }
    listed = facts(running, "user", "list", "--organisation", "works")
    assert [(one["email"], one["role"], one["disabled"]) for one in listed] == [
        ("ada@example.org", "operator", False)
    ]
    assert made["password"] not in json.dumps(listed)
    assert facts(running, "user", "list", "--organisation", "works", "--region", "North") == []
    facts(running, "user", "role", "ada@example.org", "admin", "--organisation", "works")
    alone = refusal(running, "user", "role", "ada@example.org", "viewer", "--organisation", "works")
    assert "only admin" in alone
    assert facts(running, "user", "list", "--organisation", "works")[0]["role"] == "admin"

    assert facts(running, "user", "disable", "ada@example.org")["disabled"] is True
    with pytest.raises(urllib.error.HTTPError) as shut:
        ask(running, "me", token=token)
    shut.value.close()
    assert shut.value.code == 401
    assert all(one["disabled"] for one in facts(running, "user", "list", "--organisation", "works"))
    assert facts(running, "user", "disable", "ada@example.org", "--enable")["disabled"] is False
    log_in(running, "ada@example.org", made["password"])


def test_a_lost_second_factor_is_taken_away(running: Instance) -> None:
    made = facts(running, "user", "create", "ida@example.org")
    password = made["password"]
    token = log_in(running, "ida@example.org", password)
    offered = ask(running, "auth/second-factor", {"password": password}, token)
    code = pyotp.TOTP(offered["secret"]).now()
    ask(running, "auth/second-factor/confirm", {"code": code}, token)
    assert facts(running, "user", "second-factor", "ida@example.org")["second_factor"] is True
    with pytest.raises(urllib.error.HTTPError) as asked:
        log_in(running, "ida@example.org", password)
    asked.value.close()
    assert asked.value.code == 401
    assert facts(running, "user", "second-factor", "ida@example.org", "--off")["second_factor"] is False
    token = log_in(running, "ida@example.org", password)
    lines = ask(running, "audit-log?action=second_factor", token=token)["items"]
    told = [(line["actor"], line["action"]) for line in lines]
    assert told == [
        ("operator", "second_factor.switched_off"),
        (f"user:{made['id']}", "second_factor.switched_on"),
    ]
    assert facts(running, "user", "second-factor", "ida@example.org", "--off")["second_factor"] is False
    assert len(ask(running, "audit-log?action=second_factor", token=token)["items"]) == 2
    assert "no user" in refusal(running, "user", "second-factor", "nobody@example.org", "--off")


def test_who_is_demoted_takes_their_invitations_along(running: Instance) -> None:
    facts(running, "org", "create", "quarry")
    signed_in = {}
    for name, role in (("gina", "admin"), ("hal", "operator")):
        made = facts(
            running, "user", "create", f"{name}@example.org", "--organisation", "quarry", "--role", role
        )
        signed_in[name] = log_in(running, f"{name}@example.org", made["password"])
    places = ask(running, "organisations", token=signed_in["gina"])["items"]
    path = f"organisations/{next(one['id'] for one in places if one['slug'] == 'quarry')}"
    ask(running, f"{path}/members", {"email": "friend@example.org", "role": "viewer"}, signed_in["hal"])
    assert len(ask(running, f"{path}/invitations", token=signed_in["gina"])["items"]) == 1
    facts(running, "user", "role", "hal@example.org", "viewer", "--organisation", "quarry")
    assert ask(running, f"{path}/invitations", token=signed_in["gina"])["items"] == []


def test_a_password_comes_from_standard_input(running: Instance) -> None:
    command = [sys.executable, "-m", "kilowatch.cli.main", "user", "create", "ben@example.org"]
    options = ["--password-stdin", "--data", str(running.data), "--json"]
    done = subprocess.run(
        [*command, *options], input=PASSWORD + "\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["password"] is None
    assert PASSWORD not in done.stdout
    log_in(running, "ben@example.org", PASSWORD)
    nothing = subprocess.run(
        [*command, *options], input="", capture_output=True, text=True, check=False, timeout=60
    )
    assert nothing.returncode == 2


def test_what_kw_makes_and_deletes_stands_in_the_audit_log(running: Instance) -> None:
    key = facts(running, "key", "create", "--organisation", "forge", "--create", "--scopes", "admin,read")
    lines = ask(running, "audit-log", token=key["key"])["items"]
    assert [(line["actor"], line["action"]) for line in lines] == [
        ("operator", "api_key.created"),
        ("operator", "organisation.created"),
    ]
    assert lines[0]["subject"] == key["id"]
    assert key["key"] not in json.dumps(lines)


def test_nobodys_own_home_is_deleted(running: Instance) -> None:
    made = facts(running, "user", "create", "dora@example.org")
    token = log_in(running, "dora@example.org", made["password"])
    (home,) = ask(running, "organisations", token=token)["items"]
    assert "account" in refusal(running, "org", "delete", home["slug"], "--yes")
    assert ask(running, "me", token=token)["email"] == "dora@example.org"


def test_what_cannot_be_is_told(running: Instance) -> None:
    facts(running, "org", "create", "mill")
    facts(running, "user", "create", "cleo@example.org")
    assert "already" in refusal(running, "org", "create", "mill")
    assert "slug" in refusal(running, "org", "create", "No Slug")
    assert "already" in refusal(running, "user", "create", "cleo@example.org")
    assert "address" in refusal(running, "user", "create", "nobody").lower()
    assert "kw org list" in refusal(
        running, "user", "create", "x@example.org", "--organisation", "never-was", "--role", "viewer"
    )
    assert [one for one in facts(running, "user", "list") if one["email"] == "x@example.org"] == []
    assert "kw user list" in refusal(
        running, "user", "role", "x@example.org", "viewer", "--organisation", "mill"
    )
    assert "kw user list" in refusal(running, "user", "disable", "x@example.org")
    wrong = run_kw("user", "role", "cleo@example.org", "boss", "--organisation", "mill")
    assert wrong.returncode == 2


def test_an_organisation_is_deleted_when_it_is_meant(running: Instance) -> None:
    facts(running, "org", "create", "short-lived")
    key = facts(running, "key", "create", "--organisation", "short-lived", "--scopes", "read")["key"]
    assert ask(running, "whoami", token=key)["organisation"] == "short-lived"
    assert "--yes" in refusal(running, "org", "delete", "short-lived")
    assert "short-lived" in {one["slug"] for one in facts(running, "org", "list")}
    assert facts(running, "org", "delete", "short-lived", "--yes")["deleted"] is True
    assert "short-lived" not in {one["slug"] for one in facts(running, "org", "list")}
    with pytest.raises(urllib.error.HTTPError) as gone:
        ask(running, "whoami", token=key)
    gone.value.close()
    assert gone.value.code == 401
    assert "kw org list" in refusal(running, "org", "delete", "short-lived", "--yes")


def test_lists_are_tables_for_people(running: Instance) -> None:
    facts(running, "org", "create", "shown", "--name", "Shown to people")
    printed = run_kw("org", "list", "--data", str(running.data))
    assert printed.returncode == 0
    assert "slug" in printed.stdout.splitlines()[0]
    assert "Shown to people" in printed.stdout
