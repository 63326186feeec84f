"""A running instance and the people who use it in a browser."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import APIRequestContext, BrowserContext

from kilowatch.accounts.mail import read_letters
from tests.conftest import wait_until

PASSWORD = "correct horse battery staple"
RULE = {"name": "Much", "metric": "power", "operator": ">", "threshold": 90_000, "severity": "low"}
CODE = re.compile(r"\b(\d{6})\b")


@dataclass(frozen=True)
class Family:
    """Somebody with a demo home, over the API and as a browser is let in."""

    url: str
    site: str
    request: APIRequestContext
    cookies: Any

    def enter(self, context: BrowserContext) -> None:
        """Lets a browser in, looking at the demo home."""
        context.add_cookies(self.cookies)
        context.add_init_script(f"localStorage.setItem('kilowatch.site', '{self.site}')")

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """Posts as a page of the instance does."""
        return ask(self.request, self.url, path, **body)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """What the API says."""
        answer = self.request.get(f"{self.url}/api/v1/{path}", params=query)
        assert answer.ok, f"{path}: {answer.status} {answer.text()}"
        content: dict[str, Any] = answer.json()
        return content

    def begin(self, scenario: str) -> None:
        """Begins a scenario of the world of homes, whatever was before."""
        self.ask("simulation/reset")
        self.ask("simulation/scenario", world="home", scenario_id=scenario)


@dataclass(frozen=True)
class Town:
    """Where an instance listens, and where it keeps what it has."""

    url: str
    data: Path

    def find_code(self, email: str) -> str:
        """The newest code that was mailed to an address."""
        letters = [one for one in read_letters(self.data / "mail") if email in str(one["To"])]
        found = CODE.search(str(letters[-1].get_content()))
        assert found is not None
        return found[1]

    def sign_up(self, context: BrowserContext, email: str | None = None) -> str:
        """Makes an account over the API and leaves the browser signed in; the address."""
        email = email or f"ada-{uuid.uuid4().hex[:10]}@example.org"
        ask(context.request, self.url, "auth/signup", email=email, password=PASSWORD, name="Ada")
        ask(context.request, self.url, "auth/verify", email=email, code=self.find_code(email))
        return email

    def make_home(self, context: BrowserContext) -> dict[str, Any]:
        """A demo home for whoever is signed in there: five devices, a month of history, live."""
        return ask(context.request, self.url, "sites/demo")

    def settle(self, context: BrowserContext) -> Family:
        """Makes an account with a demo home and waits for its history."""
        self.sign_up(context)
        site = str(self.make_home(context)["id"])
        family = Family(self.url, site, context.request, context.storage_state()["cookies"])
        total = f"sites/{site}/energy"
        wait_until(lambda: family.get(total, resolution="1d")["total"]["coverage"] > 0.9, what="the history")
        return family


def ask(request: APIRequestContext, url: str, path: str, **body: Any) -> dict[str, Any]:
    """Posts as a page of the instance does."""
    answer = request.post(f"{url}/api/v1/{path}", data=body, headers={"Origin": url}, timeout=60_000)
    assert answer.ok, f"{path}: {answer.status} {answer.text()}"
    content: dict[str, Any] = answer.json() if answer.body() else {}
    return content


def fill(family: Family) -> dict[str, str]:
    """Something for every page to show: an alert that is told, a rule, a refused reading. What the first two
    are called."""
    family.begin("phantom_load")
    key = family.ask("api-keys", name="Meter", scopes=["ingest"])["key"]
    refused = family.request.post(
        f"{family.url}/api/v1/readings",
        data={"device": "nobody", "metrics": {"power": 1}},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert refused.status == 422, refused.text()
    rule = family.ask("rules", **RULE)["id"]
    wait_until(lambda: bool(family.get("notifications")["items"]), what="an alert that is told")
    return {"alert": family.get("alerts")["items"][0]["id"], "rule": rule}
