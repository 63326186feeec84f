"""What opens over pages: the one list that checks of dialogs, menus and the like go by."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Locator, Page


@dataclass(frozen=True)
class Overlay:
    """Where it is opened from, how, and the role and name of what is then there."""

    path: str
    open: Callable[[Page], None]
    shows: str
    named: str | None = None
    """None: whatever it is called."""

    def find(self, page: Page) -> Locator:
        """What is there once it is open."""
        return page.get_by_role(self.shows, name=self.named).last  # type: ignore[arg-type]


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
    "history-table": Overlay("/history", press("As a table"), "region", "Energy by"),
    "letter": Overlay("/dead-letters", press("there is no device nobody"), "dialog"),
    "key-revoking": Overlay("/administration?tab=keys", press("Revoke Meter"), "dialog"),
    "channel": Overlay("/settings?tab=notifications", press("New channel"), "dialog"),
    "injection": Overlay("/simulation", press("Let something happen"), "dialog"),
    "scenario": Overlay("/simulation", press("Stop"), "dialog"),
}
