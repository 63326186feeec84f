"""Each page as it loads, when that fails, with nothing yet, with what it is for, and what opens over it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.web.browser import DESKTOP, LOOKS, PHONE, Watch, find_barriers, open_context
from tests.web.overlays import OVERLAYS
from tests.web.town import Family, Town, fill

CODE_BYTES = """performance.getEntriesByType("resource")
    .filter(({ name }) => new URL(name).pathname.endsWith(".js"))
    .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""
TOAST = ".mantine-Notification-root"
NOBODY = "00000000-0000-4000-8000-000000000000"
LIVE = re.compile("/api/v1/live")
# As a link does it, without asking for the app anew.
GO = "path => history.pushState({}, '', path)"
REFUSAL = {
    "status": 500,
    "code": "internal",
    "title": "Internal error",
    "detail": "The lake is out of reach.",
}


@dataclass(frozen=True)
class Sight:
    """A page, the question without whose answer it has nothing to show, and what it shows otherwise."""

    path: str
    question: str
    full: str
    empty: str | None = None
    """None: there is always something, or the page is about one thing."""


SIGHTS = {
    "home": Sight("/", r"/devices\?", "Where it flows now", "No device is connected yet"),
    "devices": Sight("/devices", r"/devices\?", "Heat pump", "No device is connected yet"),
    "device": Sight("/devices/demo-fridge", r"/devices/demo-fridge$", "Health"),
    "history": Sight("/history", r"/devices\?", "Where it went", "No device yet"),
    "alerts": Sight("/alerts", r"/alerts\?", "Television uses power", "All is well"),
    "alert": Sight("/alerts/$alert", r"/alerts/[0-9a-f-]{36}$", "What happened"),
    "notifications": Sight("/notifications", r"/notifications\?", "Television uses power", "Nothing to tell"),
    "rules": Sight("/rules", r"/rules\?", "is above 90 kW", "No rule yet"),
    "rule": Sight("/rules/$rule", r"/rules/[0-9a-f-]{36}$", "What it would have done"),
    "dead-letters": Sight(
        "/dead-letters", r"/dead-letters\?", "there is no device nobody", "Nothing was refused"
    ),
    "control-room": Sight("/control-room", r"/devices\?", "Changed most", "No device reports yet"),
    "simulation": Sight("/simulation", r"/simulation/state$", "Simulated clock"),
    "members": Sight("/administration", r"/members\?", "Ada (you)"),
    "keys": Sight("/administration?tab=keys", r"/api-keys\?", "Demo home", "There are no keys."),
    "settings": Sight(
        "/settings?tab=notifications", r"/notification-preferences$", "Daily digest", "No channel yet"
    ),
}


def address_of(sight: Sight, things: dict[str, str]) -> str:
    """Where a reader of these things finds the page."""
    return "/".join(things.get(part, part) for part in sight.path.split("/"))


@pytest.fixture(scope="module")
def things(family: Family) -> dict[str, str]:
    """What the family has, as addresses name it."""
    return {f"${kind}": one for kind, one in fill(family).items()}


@pytest.fixture(scope="module")
def inside(browser: Browser, town: Town, family: Family) -> Iterator[BrowserContext]:
    """A window of the family in which nothing answers but the server."""
    context = open_context(browser, town.url, keeps=False)
    family.enter(context)
    yield context
    context.close()


@pytest.fixture(scope="module")
def newcomer(browser: Browser, town: Town) -> Iterator[Page]:
    """A page of somebody who has nothing but an account."""
    context = open_context(browser, town.url, keeps=False)
    town.sign_up(context)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


class Withheld:
    """Keeps a page's question from the server: at first without an answer, then with a refusal."""

    def __init__(self, page: Page, question: str) -> None:
        self._waiting: list[Route] = []
        self._refuses = False
        self._page = page
        self._question = re.compile(r"/api/v1[^?]*" + question)
        page.route(self._question, self._take)
        # Nothing is told to the page, or it would ask anew by itself.
        page.route_web_socket(LIVE, lambda _: None)

    def refuse(self) -> None:
        """Answers everything with a refusal from now on."""
        self._refuses = True
        for route in self._waiting:
            self._take(route)

    def end(self) -> None:
        """From now on the server is asked."""
        self._page.unroute(self._question)

    def _take(self, route: Route) -> None:
        if self._refuses:
            route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(REFUSAL))
        else:
            self._waiting.append(route)


@pytest.mark.parametrize("name", SIGHTS)
def test_a_page_loads_fails_and_is_there_when_asked_again(
    inside: BrowserContext, things: dict[str, str], name: str
) -> None:
    sight = SIGHTS[name]
    page = inside.new_page()
    withheld = Withheld(page, sight.question)
    page.goto(address_of(sight, things))
    content = page.get_by_role("main")
    expect(content.get_by_role("status", name="Loading ...").first).to_be_visible()
    expect(content.get_by_text(sight.full)).to_have_count(0)
    withheld.refuse()
    alert = content.get_by_role("alert").filter(has_text="The lake is out of reach.").first
    expect(alert).to_contain_text("This cannot be shown")
    assert find_barriers(page) == []
    withheld.end()
    alert.get_by_role("button", name="Try again").click()
    expect(content.get_by_text(sight.full).first).to_be_visible()
    expect(content.get_by_role("alert")).to_have_count(0)
    page.close()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_no_page_keeps_people_out_or_is_wider_than_their_screen(
    browser: Browser, town: Town, family: Family, things: dict[str, str], look: str, size: tuple[int, int]
) -> None:
    context = open_context(browser, town.url, size=size, look=look, keeps=False)
    family.enter(context)
    page = context.new_page()
    page.goto("/settings")
    found = {}
    for name, sight in SIGHTS.items():
        page.evaluate(GO, address_of(sight, things))
        expect(page.get_by_role("main").get_by_text(sight.full).first).to_be_visible()
        found[name] = find_barriers(page)
        if page.evaluate("document.documentElement.scrollWidth") > size[0]:
            found[name].append("wider than the screen")
    context.close()
    assert {name: barriers for name, barriers in found.items() if barriers} == {}


@pytest.mark.parametrize("name", [name for name, sight in SIGHTS.items() if sight.empty])
def test_a_page_with_nothing_on_it_says_so(newcomer: Page, name: str) -> None:
    sight = SIGHTS[name]
    watch = Watch(newcomer)
    newcomer.evaluate(GO, sight.path)
    expect(newcomer.get_by_role("main").get_by_text(str(sight.empty))).to_be_visible()
    assert find_barriers(newcomer) == []
    watch.assert_quiet()


@pytest.mark.parametrize("path", ["/devices/nothing", f"/alerts/{NOBODY}", f"/rules/{NOBODY}"])
def test_a_thing_that_is_not_there_is_not_shown(newcomer: Page, path: str) -> None:
    newcomer.evaluate(GO, path)
    alert = newcomer.get_by_role("main").get_by_role("alert").first
    expect(alert).to_contain_text("there is no", ignore_case=True)


@pytest.mark.parametrize(("path", "there", "most_bytes"), [
    ("/sign-in", "Sign in", 200_000), ("/", "Where it flows now", 260_000),
])  # fmt: skip
def test_little_is_loaded_before_a_page_is_there(
    browser: Browser, town: Town, family: Family, path: str, there: str, most_bytes: int
) -> None:
    context = open_context(browser, town.url, keeps=False)
    if path == "/":
        family.enter(context)
    page = context.new_page()
    page.goto(path)
    expect(page.get_by_role("heading", name=there)).to_be_visible()
    if path == "/":
        expect(page.locator("[data-connection]")).to_have_text("Live")
    assert most_bytes / 2 < page.evaluate(CODE_BYTES) <= most_bytes
    context.close()


@pytest.fixture(params=LOOKS)
def looking(
    request: pytest.FixtureRequest, browser: Browser, town: Town, family: Family, things: dict[str, str]
) -> Iterator[Page]:
    """A page of the family, which has something for every page to show, in each look."""
    context = open_context(browser, town.url, look=request.param, keeps=False)
    family.enter(context)
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
    toast = looking.locator(TOAST).first
    expect(toast).to_be_visible(timeout=90_000)
    toast.hover()
    return str(family.get("alerts", status="open")["items"][0]["id"])


def test_nothing_that_opens_keeps_people_out(looking: Page, told: str) -> None:
    found = {"toast": find_barriers(looking)}
    expect(looking.locator(TOAST).first).to_be_visible()
    looking.mouse.move(0, 0)
    expect(looking.locator(TOAST)).to_have_count(0)
    for name, overlay in OVERLAYS.items():
        looking.evaluate(GO, overlay.path.replace("$alert", told))
        overlay.open(looking)
        expect(overlay.find(looking)).to_be_visible()
        found[name] = find_barriers(looking)
        expect(overlay.find(looking)).to_be_visible()
        looking.keyboard.press("Escape")
        expect(looking.get_by_role("dialog")).to_have_count(0)
    assert {name: barriers for name, barriers in found.items() if barriers} == {}
