"""What people come for, one story a promise, told in a browser against a running instance and its simulator."""

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.web.town import PASSWORD, Family, Town

pytestmark = pytest.mark.xdist_group("web")

SOON_MS = 15_000
FIGURE = re.compile(r"\d")


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
        expect(figure).to_have_text(FIGURE, timeout=SOON_MS)
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
    toast.click(timeout=SOON_MS)
    page.wait_for_url("**/alerts/*")
    expect(page.get_by_text("active · unack")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("active · ack")).to_be_visible()
    page.get_by_role("link", name="Television", exact=True).click()
    page.get_by_role("radiogroup", name="Set the device to").get_by_text("Off", exact=True).click()
    expect(page.get_by_role("region", name="Alerts").get_by_text("Over, ").first).to_be_visible(timeout=SOON_MS)
    page.go_back()
    expect(page.get_by_text("cleared · ack")).to_be_visible()
    expect(page.get_by_text("Over by itself")).to_be_visible()


def test_an_alert_s_own_page_switches_its_device_off(family_page: Page, family: Family) -> None:
    page = family_page
    family.ask("devices/demo-television/state", state="on")
    family.begin("phantom_load")
    page.goto("/alerts")
    page.get_by_role("link", name="Television uses power").click(timeout=SOON_MS)
    page.get_by_role("button", name="Switch Television off").click()
    expect(page.get_by_role("button", name="Switch Television on")).to_be_visible()
    expect(page.get_by_text("cleared · unack")).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_text("Over by itself")).to_be_visible(timeout=SOON_MS)
