"""A network that is slow, or goes and comes back: the page says so, and lacks nothing afterwards."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from tests.conftest import wait_until
from tests.web.town import Family, Town
from tests.web.wire import Wire

SINCE = re.compile(r"Offline, showing data from \d\d:\d\d")
CELLS = "body => [...body.rows].map((row) => row.cells[0].textContent)"
AWAY = timedelta(seconds=3)


@pytest.fixture
def wire(town: Town) -> Iterator[Wire]:
    """The line that a browser has to the instance."""
    opened = Wire(town.url)
    yield opened
    opened.close()


def find_measured(family: Family, device: str, since: datetime) -> list[datetime]:
    """When a device measured its power since then."""
    path = f"devices/{device}/readings"
    series = family.get(path, start=since.isoformat(), metrics="power", resolution="raw")["series"]
    return [datetime.fromisoformat(ts) for ts, _ in series[0]["points"]] if series else []


def find_shown(page: Page) -> set[str]:
    """The times in the table of the live chart, all of them."""
    card = page.get_by_role("region", name="Live", exact=True)
    more = card.get_by_role("button", name="Show more")
    while more.is_visible():
        more.click()
    return set(card.locator("tbody").evaluate(CELLS))


def test_what_was_measured_while_the_network_was_away_is_there_afterwards(
    window: Callable[..., BrowserContext], family: Family, wire: Wire
) -> None:
    context = window()
    family.enter(context)
    page = context.new_page()
    page.goto(f"{wire.url}/devices/demo-fridge")
    state = page.locator("[data-connection]")
    expect(state).to_have_text("Live")
    page.get_by_role("region", name="Live", exact=True).get_by_role("button", name="As a table").click()
    wait_until(lambda: len(find_shown(page)) > 1, what="a live value")

    gone = datetime.now(UTC)
    wire.cut()
    expect(state).to_have_text("Reconnecting")
    context.set_offline(True)
    expect(state).to_have_text(SINCE)
    wait_until(
        lambda: any(ts > gone + AWAY for ts in find_measured(family, "demo-fridge", gone)), what="time"
    )
    context.set_offline(False)
    wire.mend()
    back = datetime.now(UTC)
    expect(state).to_have_text("Live")

    measured = [ts for ts in find_measured(family, "demo-fridge", gone - AWAY) if ts <= back]
    assert [ts for ts in measured if gone < ts < back]
    wanted = {f"{ts.day} {ts:%b %Y, %H:%M:%S}" for ts in measured}
    wait_until(lambda: wanted <= find_shown(page), what=f"all of {sorted(wanted)}")


def test_what_happens_before_the_page_listens_is_not_missed(family_page: Page, family: Family) -> None:
    page, held, servers = family_page, list[str | bytes](), list[WebSocketRoute]()
    is_held = True

    def hold(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        servers.append(server)
        route.on_message(lambda said: held.append(said) if is_held else server.send(said))

    page.route_web_socket(re.compile("/api/v1/live"), hold)
    page.goto("/alerts")
    expect(page.get_by_text("All is well")).to_be_visible()
    family.ask("devices/demo-television/state", state="on")
    family.begin("phantom_load")
    wait_until(lambda: bool(family.get("alerts", status="open")["items"] and held), what="the alert")
    expect(page.get_by_text("All is well")).to_be_visible()
    expect(page.locator("[data-connection]")).not_to_have_text("Live")
    is_held = False
    for said in held:
        servers[0].send(said)
    expect(page.locator("[data-connection]")).to_have_text("Live")
    expect(page.get_by_role("link", name="Television uses power")).to_be_visible()
