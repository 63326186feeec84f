"""What opens over a page or comes by itself: nothing of it keeps people out, in any look."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import LOOKS, find_barriers, open_context
from tests.web.test_states import GO
from tests.web.town import Family, Town, fill


@dataclass(frozen=True)
class Overlay:
    """Where it is opened from, how, and the role of what is then there."""

    path: str
    open: Callable[[Page], None]
    shows: str


def press(name: str | re.Pattern[str], role: str = "button") -> Callable[[Page], None]:
    """Presses the first thing of a role that is called so."""
    return lambda page: page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]


OVERLAYS = {
    "alert-suppressing": Overlay("/alerts/$alert", press("Suppress"), "menuitem"),
    "alerts-chosen": Overlay("/alerts", press("Select all", "checkbox"), "textbox"),
    "alerts-filter": Overlay("/alerts", press("Status", "combobox"), "option"),
    "place": Overlay("/settings", press("Demo home"), "menuitem"),
    "palette": Overlay("/settings", lambda page: page.keyboard.press("Control+k"), "dialog"),
    "device-new": Overlay("/devices", press("New device"), "dialog"),
    "device-delete": Overlay("/devices/demo-fridge", press("Delete"), "dialog"),
    "device-token": Overlay(
        "/devices/demo-fridge", press(re.compile("(Make a|Replace the) token")), "dialog"
    ),
    "history-downloads": Overlay("/history", press("Download"), "menuitem"),
    "history-table": Overlay("/history", press("As a table"), "table"),
    "letter": Overlay("/dead-letters", press("there is no device nobody"), "dialog"),
    "key-revoking": Overlay("/administration?tab=keys", press("Revoke Meter"), "dialog"),
    "channel": Overlay("/settings?tab=notifications", press("New channel"), "dialog"),
    "injection": Overlay("/simulation", press("Let something happen"), "dialog"),
    "scenario": Overlay("/simulation", press("Stop"), "dialog"),
}


@pytest.fixture(scope="module")
def filled(family: Family) -> Family:
    """The family, with something for every page to show."""
    fill(family)
    return family


@pytest.fixture(params=LOOKS)
def looking(request: pytest.FixtureRequest, browser: Browser, town: Town, filled: Family) -> Iterator[Page]:
    """A page of the family, in each look."""
    context = open_context(browser, town.url, look=request.param, keeps=False)
    filled.enter(context)
    page = context.new_page()
    page.goto("/settings")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    yield page
    context.close()


@pytest.fixture
def told(looking: Page, family: Family) -> str:
    """An alert that is raised while the page is looked at, and whose word is still on the screen."""
    family.ask("devices/demo-television/state", state="on")
    family.begin("phantom_load")
    toast = looking.locator(".mantine-Notification-root").first
    expect(toast).to_be_visible(timeout=90_000)
    toast.hover()
    return str(family.get("alerts", status="open")["items"][0]["id"])


def test_nothing_that_opens_keeps_people_out(looking: Page, told: str) -> None:
    found = {"toast": find_barriers(looking)}
    looking.mouse.move(0, 0)
    expect(looking.locator(".mantine-Notification-root")).to_have_count(0)
    for name, overlay in OVERLAYS.items():
        looking.evaluate(GO, overlay.path.replace("$alert", told))
        overlay.open(looking)
        expect(looking.get_by_role(overlay.shows).last).to_be_visible()  # type: ignore[arg-type]
        found[name] = find_barriers(looking)
        looking.keyboard.press("Escape")
        expect(looking.get_by_role("dialog")).to_have_count(0)
    assert {name: barriers for name, barriers in found.items() if barriers} == {}
