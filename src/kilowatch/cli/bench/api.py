"""`kw bench api`: how long people wait for an answer when many of them ask at once.

Makes people by signing up as they would, devices, and a day of readings; then lets 50 connections ask the
same question, first one right after the other, then at the pace of people who look at a page. Signing in is
measured by itself, since its slowness is wanted: a password costs some 30 ms of processor.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilowatch.accounts.mail import read_letters
from kilowatch.cli.bench.figures import describe_machine
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.report import Row, progress_bars, spread
from kilowatch.cli.bench.tally import percentiles_ms
from kilowatch.cli.bench.visitor import Answers, Question, visit
from kilowatch.clock import SystemClock

PEOPLE = 10
PAGE = 500
MINUTES = 24 * 60
PACE_S = 1.0
"""At a person's pace, a connection asks once in so many seconds."""
NO_LIMITS = {f"KILOWATCH_{who}_REQUESTS_PER_MINUTE": "0" for who in ("USER", "KEY", "AUTH")}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    clients: int = 50
    rounds: int = 40
    devices: int = 10_000
    logins: int = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    email: str
    password: str
    access_token: str


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Makes people and devices, then asks.

    Raises:
        BenchFailed: if anything is refused.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        bar = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place, settings=NO_LIMITS) as instance:
            bars.update(bar, description="making people and devices")
            people = [sign_up(instance, number) for number in range(PEOPLE)]
            site_id, device = furnish(instance, people[0], wish.devices)
            questions = list_questions(site_id, device)
            bars.update(bar, description="asking", total=len(questions) * 2 + 2, completed=0)
            result: dict[str, Any] = {"endpoints": {}, "paced": {}}
            for name, path in questions.items():
                bars.update(bar, advance=1, said=name)
                result["endpoints"][name] = ask(instance, people[:1], path, wish.clients, wish.rounds)
                bars.update(bar, advance=1)
                result["paced"][name] = ask(
                    instance, people[:1], path, wish.clients, max(2, wish.rounds // 8), PACE_S
                )
            bars.update(bar, advance=1, said="pages of devices")
            result["device_page"] = read_pages(instance, people[0], wish.devices)
            bars.update(bar, advance=1, said="signing in")
            result["login"] = sign_in(instance, people, 1, wish.logins)
            result["login_together"] = sign_in(instance, people, wish.clients, 2)
    return {
        "bench": "api",
        "clients": wish.clients,
        "devices": wish.devices,
        **result,
        "machine": machine,
    }


def sign_up(instance: Instance, number: int) -> Person:
    """A new person who has read the code in their mail."""
    email, password = f"person{number}@example.org", secrets.token_urlsafe(12)
    told = {"email": email, "password": password, "name": f"Person {number}"}
    _accept(instance.http.post(f"{instance.url}/api/v1/auth/signup", json=told))
    letter = list(read_letters(instance.data / "mail"))[-1].get_content()
    found = re.search(r"code is (\d{6})", letter)
    shown = {"email": email, "code": found[1] if found else ""}
    verified = _accept(instance.http.post(f"{instance.url}/api/v1/auth/verify", json=shown))
    return Person(email, password, verified["access_token"])


def furnish(instance: Instance, person: Person, devices: int) -> tuple[str, str]:
    """Gives a person's organisation devices, one of which has a day of readings; the site and that device."""
    api, bearer = f"{instance.url}/api/v1", {"Authorization": f"Bearer {person.access_token}"}
    wanted = {"name": "bench", "scopes": ["ingest"], "auto_register": True}
    key = _accept(instance.http.post(f"{api}/api-keys", json=wanted, headers=bearer))["key"]
    now_ms = SystemClock().now_us() // 1000
    day = [
        {"device": "d-0", "ts": now_ms - minute * 60_000, "metrics": {"power": minute % 100, "voltage": 230}}
        for minute in range(MINUTES)
    ]
    each = [{"device": f"d-{number}", "metrics": {"power": number}} for number in range(1, devices)]
    sender = {"Authorization": f"Bearer {key}"}
    for readings in (day, each):
        _accept(instance.http.post(f"{api}/readings", json=readings, headers=sender, timeout=60))
    instance.wait_until_stored()
    (site,) = _accept(instance.http.get(f"{api}/sites", headers=bearer))["items"]
    return str(site["id"]), "d-0"


def list_questions(site_id: str, device: str) -> dict[str, str]:
    """What people ask, by name."""
    return {
        "me": "/api/v1/me",
        "sites": "/api/v1/sites",
        "a device": f"/api/v1/devices/{device}",
        "100 devices": "/api/v1/devices?limit=100",
        "a day of readings": f"/api/v1/devices/{device}/readings?metrics=power",
        "keys": "/api/v1/api-keys",
        "the site": f"/api/v1/sites/{site_id}",
    }


def ask(
    instance: Instance, people: list[Person], path: str, clients: int, rounds: int, pause_s: float = 0.0
) -> dict[str, float]:
    """How long `clients` connections wait for an answer to one question."""
    return _spread(_visit(instance, people, repeat_question(Question("GET", path)), clients, rounds, pause_s))


def repeat_question(question: Question) -> Callable[[int], Question]:
    """The same question at every turn."""
    return lambda _: question


def read_pages(instance: Instance, person: Person, devices: int) -> dict[str, float]:
    """How long one reader of all devices waits for each page."""
    waits: list[float] = []
    cursor = ""
    for _ in range(-(-devices // PAGE)):
        path = f"/api/v1/devices?limit={PAGE}{cursor}"
        question = Question("GET", path)
        waits += _visit(instance, [person], repeat_question(question), 1, 1).waits
        bearer = {"Authorization": f"Bearer {person.access_token}"}
        following = _accept(instance.http.get(f"{instance.url}{path}", headers=bearer))["next_cursor"]
        cursor = f"&cursor={following}"
    return percentiles_ms(waits)


def sign_in(instance: Instance, people: list[Person], clients: int, rounds: int) -> dict[str, float]:
    """How long signing in takes, `clients` at once."""

    def question(count: int) -> Question:
        person = people[count % len(people)]
        told = {"email": person.email, "password": person.password}
        return Question("POST", "/api/v1/auth/login", json.dumps(told).encode())

    return _spread(_visit(instance, people, question, clients, rounds))


def _visit(
    instance: Instance,
    people: list[Person],
    question: Callable[[int], Question],
    clients: int,
    rounds: int,
    pause_s: float = 0.0,
) -> Answers:
    def headers(number: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {people[number % len(people)].access_token}"}

    return asyncio.run(visit(instance.port, headers, question, clients, rounds, pause_s))


def _spread(answers: Answers) -> dict[str, float]:
    if answers.failures:
        raise BenchFailed("; ".join(answers.failures))
    return percentiles_ms(answers.waits)


def _accept(answer: Any) -> Any:
    if not answer.is_success:
        raise BenchFailed(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return answer.json()


def rows_of(result: dict[str, Any]) -> list[Row]:
    """The result as lines of a table."""
    clients = result["clients"]
    rows = [(f"{name}, {clients} at once", spread(found)) for name, found in result["endpoints"].items()]
    rows += [(f"{name}, {clients} people", spread(found)) for name, found in result["paced"].items()]
    return [
        *rows,
        (f"a page of {PAGE} of {result['devices']:,} devices", spread(result["device_page"])),
        ("signing in, one after the other", spread(result["login"])),
        (f"signing in, {clients} at once", spread(result["login_together"])),
    ]
