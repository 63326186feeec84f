"""A running instance and the people who use it in a browser."""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import APIRequestContext, BrowserContext

from kilowatch.accounts.mail import read_letters

PASSWORD = "correct horse battery staple"
CODE = re.compile(r"\b(\d{6})\b")


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


def ask(request: APIRequestContext, url: str, path: str, **body: Any) -> dict[str, Any]:
    """Posts as a page of the instance does."""
    answer = request.post(f"{url}/api/v1/{path}", data=body, headers={"Origin": url}, timeout=60_000)
    assert answer.ok, f"{path}: {answer.status} {answer.text()}"
    content: dict[str, Any] = answer.json() if answer.body() else {}
    return content
