"""What people come for, one story a promise, told in a browser against an instance and its simulator."""

import csv
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.web.browser import Watch
from tests.web.town import PASSWORD, Family, Town, ask

FOUND_WITHIN_MS = 90_000
"""So long a detector may need on a machine that has much else to do."""
FIGURE = re.compile(r"\d")
SHOWN = re.compile(r"(-?[\d,]+)(?:\.(\d+))?\s(k|M)?Wh?")
ROWS = "body => [...body.rows].map((row) => [...row.cells].map((cell) => cell.textContent))"


def assert_same(shown: str, value: float | None) -> None:
    """Fails where a cell such as "1.25 kWh" is not the value, rounded to the digits that it has."""
    if value is None:
        assert shown == "–"
        return
    found = SHOWN.fullmatch(shown)
    assert found is not None, shown
    whole, digits, times = found[1].replace(",", ""), found[2] or "", {None: 1, "k": 1e3, "M": 1e6}[found[3]]
    assert abs(float(f"{whole}.{digits}0") * times - value) <= 0.5001 * times / 10 ** len(digits), (
        shown,
        value,
    )


def assert_file_is_the_table(card: Locator, names: dict[str, str]) -> int:
    """Downloads what a card shows and fails where its table says something else; how many rows it has."""
    page = card.page
    card.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="CSV", exact=True).click()
    with open(download.value.path(), newline="") as file:
        points = {(one["ts"], names[one["device"]]): float(one["value"]) for one in csv.DictReader(file)}
    times = sorted({ts for ts, _ in points})
    card.get_by_role("button", name="As a table").click()
    expect(card.locator("tbody tr")).to_have_count(len(times))
    heads = card.locator("thead th").all_text_contents()
    table = card.locator("tbody").evaluate(ROWS)
    assert {name for _, name in points} <= set(heads)
    for ts, (when, *cells) in zip(times, table, strict=True):
        assert ts[11:16] in when
        shown = dict(zip(heads[1:], cells, strict=True))
        for name in names.values():
            assert_same(shown[name], points.get((ts, name)))
        if "Total" in shown:
            assert_same(shown["Total"], sum(value for (at, _), value in points.items() if at == ts))
    return len(times)


def test_signing_up_leads_to_a_home_that_lives(page: Page, town: Town) -> None:
    email = f"grace-{uuid.uuid4().hex[:10]}@example.org"
    page.goto("/sign-up")
    page.get_by_label("Name").fill("Grace")
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.get_by_label("Digit 1 of the code").click()
    page.keyboard.type(town.find_code(email))
    page.get_by_role("button", name="Try it with a demo home").click()
    for name in ("Power now", "Energy today", "Cost today"):
        figure = page.get_by_role("region", name=name).locator(".kw-number")
        expect(figure).to_have_text(FIGURE)
    expect(page.get_by_role("region", name="Power now")).to_contain_text("W")
    expect(page.get_by_role("region", name="Energy today")).to_contain_text("Wh")
    expect(page.get_by_role("region", name="Cost today")).to_contain_text("€")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    for device in ("Fridge", "Heat pump", "Television", "Washing machine", "Lights"):
        expect(page.get_by_text(device).first).to_be_visible()


def test_a_phantom_load_is_told_looked_after_and_ended(family_page: Page, family: Family) -> None:
    page = family_page
    page.goto("/")
    expect(page.locator("[data-connection]")).to_have_text("Live")
    family.begin("phantom_load")
    toast = page.get_by_role("status").filter(has_text="Television uses power")
    toast.click()
    page.wait_for_url("**/alerts/*")
    expect(page.get_by_text("active · unack")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("active · ack")).to_be_visible()
    page.get_by_role("link", name="Television", exact=True).click()
    page.get_by_role("radiogroup", name="Set the device to").get_by_text("Off", exact=True).click()
    expect(page.get_by_role("region", name="Alerts").get_by_text("Over, ").first).to_be_visible()
    page.go_back()
    expect(page.get_by_text("cleared · ack")).to_be_visible()
    expect(page.get_by_text("Over by itself")).to_be_visible()


def test_an_alert_s_own_page_switches_its_device_off(family_page: Page, family: Family) -> None:
    page = family_page
    family.ask("devices/demo-television/state", state="on")
    family.begin("phantom_load")
    page.goto("/alerts")
    page.get_by_role("link", name="Television uses power").click(timeout=FOUND_WITHIN_MS)
    page.get_by_role("button", name="Switch Television off").click()
    expect(page.get_by_role("button", name="Switch Television on")).to_be_visible()
    expect(page.get_by_text("cleared · unack")).to_be_visible()
    expect(page.get_by_text("Over by itself")).to_be_visible()


def test_history_is_downloaded_as_it_is_shown(family_page: Page, family: Family) -> None:
    page = family_page
    names = {one["id"]: one["name"] for one in family.get("devices")["items"]}
    page.goto("/history")
    page.get_by_role("combobox", name="Period").select_option(label="Yesterday")
    page.wait_for_url("**at=*")
    assert assert_file_is_the_table(page.get_by_role("region", name="Energy", exact=True), names) == 24
    # Until its table is short enough to be there as a whole.
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    assert assert_file_is_the_table(page.get_by_role("region", name="Power", exact=True), names) == 90


def test_what_a_roof_and_the_grid_give_is_counted_once(home: Page, town: Town) -> None:
    page, site = home, home.request.get(f"{town.url}/api/v1/sites").json()["items"][0]["id"]
    power_w = {"oven": 1000.0, "solar": 1500.0, "grid-meter": -500.0}
    for kind in power_w:
        ask(page.request, town.url, "devices", id=kind, name=kind, type=kind, site_id=site)
    key = ask(page.request, town.url, "api-keys", name="Roof", scopes=["ingest"])["key"]
    moments = [(datetime.now(UTC) - timedelta(minutes=ago)).isoformat() for ago in range(60)]
    readings = [
        {"device": kind, "ts": ts, "metrics": {"power": watts}}
        for kind, watts in power_w.items()
        for ts in moments
    ]
    headers = {"Authorization": f"Bearer {key}"}
    assert page.request.post(f"{town.url}/api/v1/readings", data=readings, headers=headers).status == 202
    page.goto("/")
    used = page.get_by_role("region", name="Energy today").locator(".kw-number")
    expect(used).to_have_text(SHOWN)
    page.get_by_role("link", name="History").click()
    total = page.get_by_role("row", name="Total")
    expect(page.get_by_text("Where it came from")).to_be_visible()
    cells = total.locator("th, td").all_text_contents()
    page.get_by_role("link", name="Home", exact=True).click()
    expect(used).to_have_text(SHOWN)
    number, unit = (used.text_content() or "").split()
    assert_same(cells[1], float(number) * {"Wh": 1, "kWh": 1000}[unit])
    expect(page.get_by_role("region", name="Cost today").locator(".kw-number")).to_have_text(cells[4])


def test_a_rule_is_tried_before_it_is_kept(family_page: Page) -> None:
    page = family_page
    page.goto("/rules")
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name").fill("Something large is on")
    page.get_by_label("Limit", exact=True).fill("1000")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text(re.compile(r"It would have raised \d+ alerts"))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"^Power of .* shaded"))).to_be_visible()
    page.get_by_role("button", name="Save the rule").click()
    rule = page.get_by_role("listitem").filter(has_text="Something large is on")
    expect(rule).to_contain_text("is above 1 kW for 5 min")
    expect(rule).to_contain_text("active")


def test_a_crisis_is_begun_stopped_and_settles(home: Page) -> None:
    page = home
    page.goto("/simulation")
    speed = page.get_by_role("radiogroup", name="Speed")
    speed.get_by_text("600×", exact=True).click()
    expect(speed.get_by_role("radio", name="600×", exact=True)).to_be_checked()
    page.get_by_role("button", name="Begin Heat wave").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("Heat wave · under way")).to_be_visible()
    expect(page.get_by_role("button", name="Begin Cold snap")).to_be_disabled()
    page.get_by_role("button", name="Stop").click()
    asked = page.get_by_role("dialog", name="Stop the crisis?")
    asked.get_by_role("button", name="Cancel").click()
    expect(asked).to_be_hidden()
    expect(page.get_by_text("Heat wave · under way")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    asked.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("Heat wave · settling")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile(r"^How strong Heat wave is"))).to_be_visible()
    speed.get_by_text("3600×", exact=True).click()
    expect(page.get_by_text("Heat wave is over; all is as usual again.")).to_be_visible()
    expect(page.get_by_role("button", name="Begin Cold snap")).to_be_enabled()


@pytest.fixture
def viewer_page(window: Callable[..., BrowserContext], town: Town, family: Family) -> Page:
    """A window of somebody whom the family invited to look."""
    context = window()
    email = town.sign_up(context)
    who = family.get("whoami")
    family.ask(f"organisations/{who['organisation_id']}/members", email=email, role="viewer")
    (invitation,) = context.request.get(f"{town.url}/api/v1/invitations").json()["items"]
    ask(context.request, town.url, f"invitations/{invitation['id']}/accept")
    chosen = {"organisation": who["organisation_id"], "site": family.site}
    context.add_init_script(
        "".join(f"localStorage.setItem('kilowatch.{k}', '{v}');" for k, v in chosen.items())
    )
    return context.new_page()


def test_a_viewer_looks_and_cannot_act(viewer_page: Page, family: Family) -> None:
    page, watch = viewer_page, Watch(viewer_page)
    family.ask("devices/demo-television/state", state="on")
    family.begin("phantom_load")
    page.goto("/alerts")
    page.get_by_role("link", name="Television uses power").first.click()
    expect(page.get_by_text("It began")).to_be_visible()
    alert = page.url.rpartition("/")[2]
    for name in ("Acknowledge", "Resolve", "Suppress", "Write it down", "Switch Television off"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)

    page.get_by_role("link", name="Television", exact=True).click()
    expect(page.get_by_text("Your role may look, and not switch.")).to_be_visible()
    expect(
        page.get_by_role("radiogroup", name="Set the device to").get_by_role("radio", name="Off")
    ).to_be_disabled()
    for name in ("Edit", "Delete", "Make a token"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)

    page.get_by_role("link", name="Rules").click()
    expect(page.get_by_role("heading", name="Rules", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="New rule")).to_have_count(0)
    page.get_by_role("link", name="Simulation").click()
    expect(page.get_by_role("button", name="Begin Spike")).to_be_disabled()
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    expect(page.get_by_role("link", name="Administration")).to_have_count(0)
    watch.assert_quiet()

    organisation = family.get("whoami")["organisation_id"]
    headers = {"Origin": family.url, "X-Organisation": organisation}
    wishes: dict[str, dict[str, object]] = {
        f"alerts/{alert}/acknowledge": {},
        "devices/demo-television/state": {"state": "off"},
        "devices/demo-television/commands": {"name": "set_state", "arguments": {"state": "off"}},
        "devices/demo-television/token": {},
        "rules": {"name": "Mine", "metric": "power", "operator": ">", "threshold": 1, "severity": "low"},
        "simulation/stop": {},
        "sites/demo": {},
        f"organisations/{organisation}/members": {"email": "more@example.org", "role": "admin"},
    }
    for path, body in wishes.items():
        answer = page.request.post(f"{family.url}/api/v1/{path}", data=body, headers=headers)
        assert answer.status == 403, path
    assert family.get(f"alerts/{alert}")["status"] == "open"
    assert family.get("devices/demo-television")["state"] == "on"


def test_what_the_world_knows_is_shown_before_it_happens(home: Page) -> None:
    home.goto("/simulation")
    home.get_by_role("button", name="Let something happen").click()
    dialog = home.get_by_role("dialog")
    dialog.get_by_role("combobox", name="What the world knows").select_option(label="A night of frost")
    dialog.get_by_role("button", name="Show what would be").click()
    expect(dialog.get_by_role("status")).to_contain_text("would go")
    dialog.get_by_role("button", name="Let it happen").click()
    expect(dialog).to_be_hidden()
    events = home.evaluate("fetch('/api/v1/simulation/state').then((answer) => answer.json())")["events"]
    assert ("A night of frost", "injected") in {(one["title"], one["origin"]) for one in events}
