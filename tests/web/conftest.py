"""An instance and a browser a module, and windows that may not complain.

Neither outlives its module: what drives the browser holds the thread's event loop, which tests of other
modules need, and the worlds that a module leaves going would take the processor from all that come after it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

import kilowatch
from tests.cli.conftest import Instance
from tests.web.browser import Watch, open_browser, open_context
from tests.web.town import Family, Town

# What is expected comes at once on an idle machine, and within this on one that is not.
expect.set_options(timeout=30_000)

SHELL = Path(kilowatch.__file__).parent / "web" / "dist" / "index.html"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A running instance, without any people yet."""
    assert SHELL.is_file(), "the web app was not built: make web"
    instance = Instance(Path(os.path.realpath(tmp_path_factory.mktemp("web"))) / "data")
    with pytest.MonkeyPatch.context() as patch:
        # A story goes from page to page faster than people do, who may ask so much in a minute.
        patch.setenv("KILOWATCH_USER_REQUESTS_PER_MINUTE", "0")
        instance.start()
    yield Town(f"http://127.0.0.1:{instance.run_file()['port']}", instance.data)
    instance.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def window(browser: Browser, town: Town) -> Iterator[Callable[..., BrowserContext]]:
    """Opens windows of people who share nothing; see `open_context`."""
    opened: list[BrowserContext] = []

    def open_one(**chosen: object) -> BrowserContext:
        opened.append(open_context(browser, town.url, **chosen))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def page(window: Callable[..., BrowserContext]) -> Iterator[Page]:
    """A window of somebody who is not signed in; the test fails if the page complains."""
    opened = window().new_page()
    watch = Watch(opened)
    yield opened
    watch.assert_quiet()


@pytest.fixture
def home(window: Callable[..., BrowserContext], town: Town) -> Iterator[Page]:
    """A window of somebody with an account; the test fails if the page complains."""
    context = window()
    town.sign_up(context)
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    watch.assert_quiet()


@pytest.fixture(scope="module")
def family(browser: Browser, town: Town) -> Iterator[Family]:
    """Somebody with a demo home whose history is there, shared by a module's stories."""
    context = open_context(browser, town.url)
    yield town.settle(context)
    context.close()


@pytest.fixture
def family_page(window: Callable[..., BrowserContext], family: Family) -> Iterator[Page]:
    """A window of the family, looking at its demo home; the test fails if the page complains."""
    context = window()
    family.enter(context)
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    watch.assert_quiet()
