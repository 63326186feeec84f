"""All pages of the app: the one list that pictures and checks of every page go by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageEntry:
    """A page: how it is called, its address, and whether one has to be signed in."""

    name: str
    path: str
    """As in the router; `$device` and the like stand for something of the reader's."""
    is_inside: bool = True

    def address(self, things: dict[str, str]) -> str | None:
        """Its address for a reader who has these things; None where one is missing."""
        parts = [things.get(part[1:]) if part.startswith("$") else part for part in self.path.split("/")]
        return None if None in parts else "/".join(str(part) for part in parts)


PAGES = (
    PageEntry("sign-in", "/sign-in", is_inside=False),
    PageEntry("sign-up", "/sign-up", is_inside=False),
    PageEntry("reset-password", "/reset-password", is_inside=False),
    PageEntry("home", "/"),
    PageEntry("devices", "/devices"),
    PageEntry("device", "/devices/$device"),
    PageEntry("history", "/history"),
    PageEntry("alerts", "/alerts"),
    PageEntry("alert", "/alerts/$alert"),
    PageEntry("notifications", "/notifications"),
    PageEntry("rules", "/rules"),
    PageEntry("rule", "/rules/$rule"),
    PageEntry("dead-letters", "/dead-letters"),
    PageEntry("control-room", "/control-room"),
    PageEntry("simulation", "/simulation"),
    PageEntry("administration", "/administration"),
    PageEntry("settings", "/settings"),
)
