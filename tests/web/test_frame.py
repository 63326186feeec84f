"""What surrounds all pages: the way in, looks and languages, wrong addresses, a network that is gone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import wait_until
from tests.web.browser import LOOKS, PHONE, WEB, Watch, find_barriers
from tests.web.pages import PAGES
from tests.web.town import Town

ROUTES = re.compile(r'page\((root|inside), "([^"]+)"')
KEPT_SINCE = re.compile(r"Offline, showing data from \d\d:\d\d")
OFFLINE = re.compile(r"^Offline|net::ERR_(INTERNET_DISCONNECTED|FAILED)|WebSocket connection")

COUNT_KEPT = "caches.open('kilowatch-answers').then((cache) => cache.keys()).then((keys) => keys.length)"
# Asks much, leaves, and returns how many of the answers had been let through when all has settled.
LEAVE_WHILE_ASKING = """async () => {
    const asked = Array.from({ length: 40 }, (_, at) => fetch(`/api/v1/sites?limit=${at + 1}`));
    await asked[0];
    const left = await fetch("/api/v1/session", { method: "DELETE" });
    const answers = await Promise.all(asked);
    await caches.open("kilowatch-answers").then((cache) => cache.keys());
    return left.ok ? answers.filter((one) => one.ok).length : 0;
}"""
ROUNDS = 5


def wait_for_worker(page: Page) -> None:
    """Returns once the service worker sees what the page loads. (The policy forbids Playwright's way.)"""
    wait_until(lambda: bool(page.evaluate("navigator.serviceWorker.controller !== null")), what="the worker")


def open_with_worker(context: BrowserContext, town: Town) -> Page:
    """A page of somebody with an account, whose questions the service worker sees."""
    town.sign_up(context)
    page = context.new_page()
    page.goto("/")
    wait_for_worker(page)
    return page


def test_the_list_of_pages_is_the_router_s() -> None:
    routed = ROUTES.findall((WEB / "src" / "app" / "router.tsx").read_text())
    assert {(one.path, one.is_inside) for one in PAGES} == {(path, side == "inside") for side, path in routed}


def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(page: Page) -> None:
    page.goto("/history?range=7d")
    page.wait_for_url("**/sign-in?*")
    assert "history" in page.url
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_page_s_address_can_be_asked_for_first(home: Page) -> None:
    answer = home.goto("/devices")
    assert answer is not None
    assert answer.status == 200
    expect(home.get_by_role("link", name="Devices").first).to_have_attribute("aria-current", "page")
    home.reload()
    expect(home.get_by_role("heading", level=1)).to_be_visible()


def test_an_address_that_leads_nowhere_says_so(home: Page) -> None:
    home.goto("/no/such/page")
    expect(home.get_by_role("heading", name="There is no such page")).to_be_visible()
    home.get_by_role("link", name="Go home").click()
    expect(home.get_by_role("heading", level=1)).to_be_visible()


def test_looks_and_languages_are_chosen_and_kept(home: Page) -> None:
    home.goto("/")
    beside = home.context.new_page()
    beside.goto("/settings")
    expect(beside.get_by_role("heading", level=1)).to_be_visible()
    menu = home.get_by_role("button", name="Account of")
    menu.click()
    home.get_by_role("menuitem", name="Haunted").click()
    expect(beside.locator("html")).to_have_attribute("data-look", "haunted")
    expect(home.locator("html")).to_have_attribute("data-look", "haunted")
    home.get_by_role("menuitem", name="Deutsch").click()
    expect(home.locator("html")).to_have_attribute("lang", "de")
    home.reload()
    expect(home.locator("html")).to_have_attribute("data-look", "haunted")
    expect(home.get_by_role("link", name="Geräte").first).to_be_visible()


def test_the_page_is_live(home: Page) -> None:
    home.goto("/")
    expect(home.locator("[data-connection]")).to_have_text("Live")


def test_without_a_network_the_app_is_still_there(window: Callable[..., BrowserContext], town: Town) -> None:
    context = window()
    town.sign_up(context)
    page = context.new_page()
    watch = Watch(page)
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    wait_for_worker(page)
    page.reload()
    expect(page.locator("[data-connection]")).to_have_text("Live")
    watch.assert_quiet()
    context.set_offline(True)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    # Not before some tries have failed.
    expect(page.locator("[data-connection]")).to_have_text(KEPT_SINCE, timeout=40_000)
    context.set_offline(False)
    expect(page.locator("[data-connection]")).to_have_text("Live", timeout=30_000)
    unexpected = [fault for fault in watch.faults if not OFFLINE.search(fault)]
    assert unexpected == []


def test_what_was_kept_for_somebody_is_gone_when_they_are(
    window: Callable[..., BrowserContext], town: Town
) -> None:
    page = open_with_worker(window(), town)
    page.reload()
    wait_until(lambda: page.evaluate(COUNT_KEPT) > 0, what="a kept answer")
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    assert page.evaluate(COUNT_KEPT) == 0


def test_what_somebody_asked_is_not_kept_when_it_comes_after_they_left(
    window: Callable[..., BrowserContext], town: Town
) -> None:
    page = open_with_worker(window(), town)
    for _ in range(ROUNDS):
        page.context.clear_cookies()
        town.sign_up(page.context)
        assert page.evaluate(LEAVE_WHILE_ASKING) > 0
        assert page.evaluate(COUNT_KEPT) == 0


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_in_the_frame_keeps_people_out(
    window: Callable[..., BrowserContext], town: Town, look: str
) -> None:
    context = window(look=look)
    town.sign_up(context)
    page = context.new_page()
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.goto("/settings")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    assert find_barriers(page) == []
    page.get_by_role("button", name="Account of").click()
    expect(page.get_by_role("menuitem", name="Haunted")).to_be_visible()
    assert find_barriers(page) == []


def test_a_phone_shows_no_more_than_it_is_wide(window: Callable[..., BrowserContext], town: Town) -> None:
    context = window(size=PHONE)
    town.sign_up(context)
    page = context.new_page()
    page.goto("/settings")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert find_barriers(page) == []
