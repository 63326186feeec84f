"""A real browser: the one that KILOWATCH_CHROMIUM names, Playwright's own, one of this machine, or the one
that the web app's packages bring, which needs nothing of the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

WEB = Path(__file__).parents[2] / "web"
PACKED = WEB / "node_modules" / "@sparticuz" / "chromium"
UNPACKED = WEB / "node_modules" / ".cache" / "chromium"
ON_PATH = ("chromium", "chromium-browser", "google-chrome")
# The packed browser unpacks the libraries that it needs only where it believes to be at home.
AT_HOME = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs24.x", "TMPDIR": str(UNPACKED)}
UNPACK = 'console.log(await (await import("@sparticuz/chromium")).default.executablePath())'

DESKTOP, PHONE = (1280, 800), (360, 740)
LOOKS = ("light", "dark", "haunted")
LAWS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = {"runOnly": {"type": "tag", "values": LAWS}, "resultTypes": ["violations"]}
# A browser calls every 401 an error; ours asks who is there.
NO_FAULT = re.compile(r"Failed to load resource: .*\b401\b")


@dataclass(frozen=True)
class Program:
    """A browser's program, None for Playwright's own, and what it needs in its environment."""

    path: str | None
    environment: dict[str, str] = field(default_factory=dict)


def find_program(playwright: Playwright) -> Program:
    """The browser to use, the first that there is."""
    named = os.environ.get("KILOWATCH_CHROMIUM")
    if named:
        return Program(named)
    if Path(playwright.chromium.executable_path).exists():
        return Program(None)
    for name in ON_PATH:
        if found := shutil.which(name):
            return Program(found)
    if PACKED.is_dir():
        return unpack_program()
    raise FileNotFoundError("no browser: run `make lint`, which fetches one, or set KILOWATCH_CHROMIUM")


def unpack_program() -> Program:
    """The browser of the web app's packages, with the libraries and fonts that come with it."""
    UNPACKED.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    node = shutil.which("node", path=path)
    assert node is not None, "the browser is unpacked with Node"
    done = subprocess.run(
        [node, "--input-type=module", "-e", UNPACK],
        cwd=WEB,
        env=os.environ | AT_HOME,
        capture_output=True,
        text=True,
        check=True,
    )
    fonts = UNPACKED / "fonts.conf"
    fonts.write_text(
        f"<fontconfig><dir>{UNPACKED}/fonts</dir><cachedir>{UNPACKED}/found</cachedir></fontconfig>"
    )
    needed = {"LD_LIBRARY_PATH": UNPACKED / "al2023" / "lib", "FONTCONFIG_FILE": fonts}
    return Program(done.stdout.strip(), {name: str(place) for name, place in needed.items()})


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser without a screen. At its end the thread's event loop is free again."""
    with sync_playwright() as playwright:
        program = find_program(playwright)
        browser = playwright.chromium.launch(
            executable_path=program.path,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
            env={**os.environ, **program.environment},
        )
        try:
            yield browser
        finally:
            browser.close()


def open_context(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    look: str = "light",
    language: str = "en",
    keeps: bool = True,
) -> BrowserContext:
    """A window of somebody who chose a look and a language, in Berlin, with moving pictures off.

    keeps: whether the app may keep itself there and answer in the server's place.
    """
    width, height = size
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        locale={"en": "en-GB", "de": "de-DE"}[language],
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
        service_workers="allow" if keeps else "block",
    )
    chosen = json.dumps(look)
    context.add_init_script(
        f"if (!localStorage.getItem('kilowatch.look')) localStorage.setItem('kilowatch.look', {chosen})"
    )
    return context


class Watch:
    """Listens to what a page complains of."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not NO_FAULT.search(message.text):
            self.faults.append(message.text)

    def assert_quiet(self) -> None:
        """Fails when the page complained."""
        assert self.faults == []


def find_barriers(page: Page) -> list[str]:
    """What keeps people from using the page as it is shown, with the elements in question.

    A page may change while it is judged: what one run finds counts if the next one finds it, too, whatever
    the element says by then.
    """
    found = run_axe(page)
    return [said for barrier, said in run_axe(page).items() if barrier in found] if found else []


def run_axe(page: Page) -> dict[tuple[str, str], str]:
    """What one run finds: by rule and place in the page, what to say of it."""
    return {
        (one["id"], str(node["target"])): f"{one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in Axe().run(page, options=AXE).response["violations"]
        for node in one["nodes"]
    }
