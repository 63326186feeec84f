"""The walls between organisations, for every operation of the OpenAPI document: a stranger with all rights in
an organisation of their own, who knows every identifier of somebody else's, sees and changes nothing."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kilowatch.accounts.store.assignments import assign_device, assign_site
from kilowatch.accounts.store.invitations import invite
from kilowatch.alerts.finding import Finding, Key
from kilowatch.alerts.store.raising import raise_alerts
from kilowatch.alerts.store.windows import create_window
from kilowatch.clock import to_us
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import get_device
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store.letters import keep_dead_letters
from tests.server.conftest import House, Member
from tests.server.persons import make_staff

HEARD_ELSEWHERE = {"stream"}
"""Streams do not end by themselves; tests/server/test_live.py listens to them."""
STARTS, ENDS = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
RULE = {"name": "High", "metric": "power", "operator": ">", "threshold": 1.0}
ORGANISATION = "/api/v1/organisations/{organisation_id}"


@dataclass(frozen=True)
class Belongings:
    """Identifiers of the owner's things, and a word that only the owner's things hold."""

    site_id: str
    device_id: str
    key_id: str
    letter_id: str
    rule_id: str
    metric: str
    word: str
    organisation_id: str
    user_id: str
    invitation_id: str
    command_id: str
    alert_id: str
    window_id: str
    channel_id: str

    def values(self) -> dict[str, str]:
        """What parameters of these names are filled with."""
        return {
            "site_id": self.site_id,
            "device_id": self.device_id,
            "device": self.device_id,
            "key_id": self.key_id,
            "letter_id": self.letter_id,
            "rule_id": self.rule_id,
            "organisation_id": self.organisation_id,
            "user_id": self.user_id,
            "invitation_id": self.invitation_id,
            "command_id": self.command_id,
            "alert_id": self.alert_id,
            "window_id": self.window_id,
            "kind": "spike",
            "channel_id": self.channel_id,
            "notification_id": str(uuid.uuid4()),  # which only people have; see test_notifications.py
            "name": self.metric,
            "start": STARTS,
            "end": ENDS,
            "resolution": "1h",
        }

    def ids(self) -> tuple[str, ...]:
        """What appears in no answer to a stranger."""
        own = (self.organisation_id, self.user_id, self.invitation_id, self.command_id, self.channel_id)
        watching = (self.rule_id, self.alert_id, self.window_id)
        return (self.site_id, self.device_id, self.key_id, self.letter_id, *watching, *own)

    def bodies(self) -> dict[tuple[str, str], Any]:
        """What a stranger sends to reach the owner's things, by method and path."""
        return {
            ("POST", "/api/v1/api-keys"): {"name": "mine", "scopes": ["read"]},
            ("POST", "/api/v1/devices"): {"id": "MINE", "site_id": self.site_id},
            ("PATCH", "/api/v1/devices/{device_id}"): {"name": "taken over"},
            ("POST", "/api/v1/devices/{device_id}/state"): {"state": "off"},
            ("POST", "/api/v1/devices/{device_id}/toggle"): {},
            ("POST", "/api/v1/devices/{device_id}/commands"): {"name": "toggle"},
            ("PUT", "/api/v1/metrics/{name}"): {"unit": "", "kind": "gauge"},
            ("POST", "/api/v1/session"): {"key": "kw_guessed"},
            ("POST", "/api/v1/auth/signup"): {"email": "x@example.org", "password": self.word, "name": "X"},
            ("POST", "/api/v1/auth/verify"): {"email": "x@example.org", "code": "000000"},
            ("POST", "/api/v1/auth/login"): {"email": "x@example.org", "password": "guessed"},
            ("POST", "/api/v1/auth/refresh"): {"refresh_token": "kwr_guessed"},
            ("POST", "/api/v1/auth/logout"): {"refresh_token": "kwr_guessed"},
            ("POST", "/api/v1/auth/forgot-password"): {"email": "x@example.org"},
            ("POST", "/api/v1/auth/reset-password"): {
                "email": "x@example.org",
                "code": "000000",
                "password": "a long enough guess",
            },
            ("POST", "/api/v1/auth/change-password"): {
                "old_password": "guessed",
                "password": "a long enough guess",
            },
            ("POST", "/api/v1/auth/second-factor"): {"password": "guessed"},
            ("POST", "/api/v1/auth/second-factor/confirm"): {"code": "000000"},
            ("DELETE", "/api/v1/auth/second-factor"): {"password": "guessed", "code": "000000"},
            ("PATCH", "/api/v1/me"): {"name": "taken over"},
            ("DELETE", "/api/v1/me"): {"password": "guessed"},
            ("POST", "/api/v1/organisations"): {"name": "Mine"},
            ("PATCH", f"{ORGANISATION}"): {"name": "taken over"},
            ("POST", f"{ORGANISATION}/members"): {"email": "me@example.org", "role": "admin"},
            ("PATCH", f"{ORGANISATION}/members/{{user_id}}"): {"role": "customer"},
            ("POST", "/api/v1/meters/{device_id}/assign"): {"user_id": self.user_id},
            ("POST", "/api/v1/sites/{site_id}/assign"): {"user_id": self.user_id},
            ("POST", "/api/v1/dead-letters/discard"): {"device": self.device_id},
            ("POST", "/api/v1/rules"): RULE | {"site_id": self.site_id},
            ("PATCH", "/api/v1/rules/{rule_id}"): {"name": "taken over"},
            ("POST", "/api/v1/rules/backtest"): {
                "rule": RULE | {"device_id": self.device_id},
                "start": STARTS,
                "end": ENDS,
            },
            ("POST", "/api/v1/rules/{rule_id}/backtest"): {"start": STARTS, "end": ENDS},
            ("POST", "/api/v1/sites/demo"): {"time_zone": "UTC"},
            ("POST", "/api/v1/notification-channels"): {
                "name": "mine",
                "address": f"mailto:{self.word}@example.org",
                "whole_organisation": True,
            },
            ("PATCH", "/api/v1/notification-channels/{channel_id}"): {"name": "taken over", "enabled": False},
            ("PUT", "/api/v1/notification-preferences"): {"escalation": []},
            ("POST", "/api/v1/sites"): {"kind": "home", "name": "Mine"},
            ("PATCH", "/api/v1/sites/{site_id}"): {"name": "taken over"},
            ("POST", "/api/v1/alerts/{alert_id}/acknowledge"): {"comment": "mine"},
            ("POST", "/api/v1/alerts/{alert_id}/resolve"): {"comment": "mine"},
            ("POST", "/api/v1/alerts/{alert_id}/suppress"): {"comment": "mine"},
            ("POST", "/api/v1/alerts/{alert_id}/comment"): {"comment": "mine"},
            ("POST", "/api/v1/maintenance-windows"): {
                "device_id": self.device_id,
                "starts_at": STARTS,
                "ends_at": ENDS,
            },
            ("PATCH", "/api/v1/maintenance-windows/{window_id}"): {"reason": "mine"},
            ("PATCH", "/api/v1/detectors/{kind}"): {"is_on": False},
            ("POST", "/api/v1/simulation/scenario"): {"scenario_id": "heat_wave"},
            ("POST", "/api/v1/simulation/events"): {"template": "storm"},
            ("PATCH", "/api/v1/simulation/state"): {"speed": 60},
        }


@pytest.fixture
async def owned(house: House, member: Member, database: Database) -> Belongings:
    """The owner's things."""
    word = f"kettle{uuid.uuid4().hex[:12]}"
    async with httpx.AsyncClient(base_url=house.url, headers=member.bearer("admin")) as http:
        site = (await http.post("/api/v1/sites", json={"kind": "home", "name": word})).json()["id"]
        device = {"id": f"{word}-1", "site_id": site, "name": word, "metadata": {"note": word}}
        assert (await http.post("/api/v1/devices", json=device)).status_code == 201
        key = (await http.post("/api/v1/api-keys", json={"name": word, "scopes": ["read"]})).json()["id"]
        metric = f"{word}_w"
        await http.put(f"/api/v1/metrics/{metric}", json={"unit": "W", "kind": "gauge"})
        told = {"name": "show", "arguments": {"text": word}}
        command = (await http.post(f"/api/v1/devices/{device['id']}/commands", json=told)).json()["id"]
        rule = (
            await http.post("/api/v1/rules", json=RULE | {"name": word, "device_id": device["id"]})
        ).json()
        letter = NewDeadLetter(
            member.organisation.id, device["id"], "http", "conflict", word, {"note": word}, datetime.now(UTC)
        )
        async with database.scope(member.organisation.id) as connection:
            await keep_dead_letters(connection, [letter])
        (kept,) = (await http.get("/api/v1/dead-letters")).json()["items"]
        shared = {"name": word, "address": "ntfy://" + word, "whole_organisation": True}
        channel = (await http.post("/api/v1/notification-channels", json=shared)).json()["id"]
    place = member.organisation.id
    staff = await make_staff(database, place)
    customer = staff["customer"].user_id
    async with database.scope(place) as connection:
        invited = await invite(
            connection, place, f"{word}@example.org", "viewer", invited_by=staff["admin"].user_id
        )
        await assign_device(connection, place, customer, device["id"])
        await assign_site(connection, place, customer, uuid.UUID(site))
        about = Key(place, "spike", (await get_device(connection, device["id"])).device_no)
        breach = Finding(about, "low", to_us(datetime.now(UTC)), to_us(datetime.now(UTC)))
        (alert,) = (await raise_alerts(connection, [breach], breach.ts_us, Decimal(1))).opened
        span = {"starts_at": datetime(2100, 1, 1, tzinfo=UTC), "ends_at": datetime(2101, 1, 1, tzinfo=UTC)}
        window = await create_window(connection, place, "nobody", datetime.now(UTC), reason=word, **span)
    return Belongings(
        site,
        device["id"],
        key,
        kept["id"],
        rule["id"],
        metric,
        word,
        str(place),
        str(customer),
        str(invited.id),
        command,
        str(alert),
        str(window.id),
        channel,
    )


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation that this application answers with credentials."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and path.startswith("/api/v1/"):
                yield method.upper(), path, operation


def request_of(method: str, path: str, operation: dict[str, Any], owned: Belongings) -> dict[str, Any]:
    """The arguments of a request that names the owner's things wherever it can."""
    values = owned.values()
    query: dict[str, str] = {}
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", values[name])
        elif parameter["in"] == "query" and name in values:
            query[name] = values[name]
    return {"method": method, "url": path, "params": query}


async def everything(house: House, member: Member) -> dict[str, Any]:
    """All that the owner sees."""
    own = f"organisations/{member.organisation.id}"
    paths = (
        *("api-keys", "commands", "devices", "sites", "metrics", "dead-letters", "rules", "readings/latest"),
        *("alerts", "maintenance-windows", "detectors", "notification-channels", "whoami"),
        *(own, f"{own}/members", f"{own}/invitations", "audit-log"),
    )
    async with httpx.AsyncClient(base_url=house.url, headers=member.bearer("admin")) as http:
        seen = {path: (await http.get(f"/api/v1/{path}")).json() for path in paths}
        for one in seen["alerts"]["items"]:
            del one["description"]  # says how long it has lasted
        for one in seen[f"{own}/members"]["items"]:
            path = f"{own}/members/{one['user_id']}/assignments"
            seen[path] = (await http.get(f"/api/v1/{path}")).json()
        return seen


@pytest.mark.usefixtures("worlds")
async def test_no_operation_opens_the_walls(
    house: House, member: Member, stranger: Member, owned: Belongings
) -> None:
    before = await everything(house, member)
    bodies = owned.bodies()
    asked = 0
    async with httpx.AsyncClient(base_url=house.url, headers=stranger.bearer("admin"), timeout=30) as http:
        for method, path, operation in operations(house.application.app.openapi()):
            if operation["operationId"] in HEARD_ELSEWHERE:
                continue
            request = request_of(method, path, operation, owned)
            if "requestBody" in operation:
                assert (method, path) in bodies, f"say what a stranger would send to {method} {path}"
                request["json"] = bodies[method, path]
            answer = await http.request(**request)
            said = f"{method} {path}: {answer.status_code} {answer.text[:400]}"
            assert answer.status_code < 500, said
            if answer.is_success:
                ids = owned.ids()
                # A metric's name is the stranger's own to choose; all else is the owner's.
                assert not any(one in answer.text for one in ids), said
                assert owned.word not in answer.text.replace(owned.metric, ""), said
            elif "{" in path:
                assert answer.status_code in (403, 404), said
            asked += 1
    assert asked >= 20
    assert await everything(house, member) == before


async def test_a_path_with_the_owners_things_answers_as_if_they_were_not(
    house: House, stranger: Member, owned: Belongings
) -> None:
    """Somebody else's thing and one that never was cannot be told apart."""
    never = {
        "device_id": "never-was",
        "site_id": str(uuid.uuid4()),
        "key_id": str(uuid.uuid4()),
        "letter_id": str(uuid.uuid4()),
        "rule_id": str(uuid.uuid4()),
        "organisation_id": str(uuid.uuid4()),
        "user_id": str(uuid.uuid4()),
        "invitation_id": str(uuid.uuid4()),
        "command_id": str(uuid.uuid4()),
        "alert_id": str(uuid.uuid4()),
        "window_id": str(uuid.uuid4()),
        "channel_id": str(uuid.uuid4()),
        "notification_id": str(uuid.uuid4()),
    }
    async with httpx.AsyncClient(base_url=house.url, headers=stranger.bearer("admin"), timeout=30) as http:
        for method, path, operation in operations(house.application.app.openapi()):
            places = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            if not places or places in (["name"], ["kind"]):
                continue
            body = owned.bodies().get((method, path))
            answers = []
            for values in (owned.values(), owned.values() | never):
                url = path
                for name in places:
                    url = url.replace(f"{{{name}}}", values[name])
                answer = await http.request(
                    method, url, params={"start": STARTS, "end": ENDS, "resolution": "1h"}, json=body
                )
                document = answer.json()
                text = str(document["detail"]).replace(values[places[0]], "...")
                answers.append((answer.status_code, document["code"], text))
            (theirs, none) = answers
            assert theirs == none, f"{method} {path}"
            assert theirs[0] in (403, 404), f"{method} {path}: {theirs}"
