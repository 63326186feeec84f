"""Takes a picture of every page in every look, as wide as a desk's screen and as a phone.

`python -m tests.web.screenshots FOLDER [PAGE ...]` starts an instance of its own in a temporary folder, makes
somebody with a demo home in which something is wrong, and writes `FOLDER/<page>-<look>-<width>.png`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.cli.conftest import Instance
from tests.web.browser import DESKTOP, LOOKS, PHONE, open_browser, open_context
from tests.web.pages import PAGES, PageEntry
from tests.web.town import Town, fill

SETTLED_WITHIN_MS = 8_000


@contextmanager
def open_town() -> Iterator[Town]:
    """An instance for the pictures alone."""
    # One person looks at every page at once, which is more than people may ask in a minute.
    os.environ["KILOWATCH_USER_REQUESTS_PER_MINUTE"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(Path(os.path.realpath(folder)) / "data")
        instance.start()
        try:
            yield Town(f"http://127.0.0.1:{instance.run_file()['port']}", instance.data)
        finally:
            instance.stop()


def settle(page: Page) -> None:
    """Waits until nothing is loading any more, or long enough for a picture of what is."""
    page.wait_for_selector("h1", timeout=SETTLED_WITHIN_MS)
    try:
        page.wait_for_load_state("networkidle", timeout=SETTLED_WITHIN_MS)
        page.locator(".mantine-Skeleton-root").first.wait_for(state="detached", timeout=SETTLED_WITHIN_MS)
    except PlaywrightTimeout as error:
        print(f"{page.url}: {error}", file=sys.stderr)  # noqa: T201  # this is a program


def shoot(page: Page, path: Path, size: tuple[int, int]) -> None:
    """A picture of the whole page, in a window so high: a bar at its foot would stand in the midst."""
    width, height = size
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(height, whole)})
    page.screenshot(path=path)
    page.set_viewport_size({"width": width, "height": height})


def take(browser: Browser, town: Town, folder: Path, wanted: list[PageEntry]) -> None:
    """Takes all pictures of these pages."""
    somebody = open_context(browser, town.url)
    family = town.settle(somebody)
    things = fill(family) | {"device": "demo-fridge"}
    for look in LOOKS:
        for size in (DESKTOP, PHONE):
            for is_inside in (False, True):
                context = open_context(browser, town.url, size=size, look=look)
                if is_inside:
                    family.enter(context)
                page = context.new_page()
                for entry in wanted:
                    address = entry.address(things)
                    if entry.is_inside is is_inside and address is not None:
                        page.goto(address)
                        settle(page)
                        shoot(page, folder / f"{entry.name}-{look}-{size[0]}.png", size)
                context.close()


def main(folder: Path, names: list[str]) -> None:
    """Writes the pictures of the pages with these names, or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [one for one in PAGES if not names or one.name in names]
    with open_town() as town, open_browser() as browser:
        take(browser, town, folder, wanted)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")  # noqa: T201  # this is a program


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
