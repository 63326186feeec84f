"""The committed reference pages say what the code says."""

from pathlib import Path
from typing import get_args

import pytest

from kilowatch.cli.main import app
from kilowatch.cli.options import Page
from kilowatch.cli.reference import file_of, write_page
from kilowatch.settings import Settings
from tests.cli.conftest import run_kw

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", get_args(Page))
def test_the_committed_page_is_fresh(page: Page) -> None:
    assert (REFERENCE / file_of(page)).read_text() == write_page(page, app), (
        f"write it anew: kw reference {page} > docs/reference/{file_of(page)}"
    )


def test_the_command_prints_the_page() -> None:
    printed = run_kw("reference", "settings")
    assert (printed.returncode, printed.stdout) == (0, write_page("settings", app))


def test_an_unknown_page_is_a_usage_error() -> None:
    assert run_kw("reference", "nonsense").returncode == 2


def test_every_setting_stands_on_its_page() -> None:
    page = write_page("settings", app)
    assert [name for name in Settings.model_fields if f"`KILOWATCH_{name.upper()}`" not in page] == []


@pytest.mark.parametrize(
    "command", ["kw up", "kw verify", "kw key create", "kw user role", "kw bench accounting"]
)
def test_commands_and_the_commands_of_groups_stand_on_their_page(command: str) -> None:
    assert f"## `{command}`\n" in write_page("cli", app)
