"""`kw world`: one's own worlds beside those that come with Kilowatch, and what is wrong with their files."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kilowatch.cli.main import app
from kilowatch.errors import StartRefused
from kilowatch.simulator.world.schema import write_schema
from tests.simulator.small_world import spoil, write_world


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    done = CliRunner().invoke(app, ["world", *arguments], env={"COLUMNS": "300"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def told(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json")[1])


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of one's own worlds in the data folder `tmp_path`, with one world."""
    folder = tmp_path / "worlds"
    folder.mkdir()
    write_world(folder)
    return folder


def test_own_worlds_come_first_and_problems_are_counted(tmp_path: Path, own: Path) -> None:
    listed = told("list", "--data", str(tmp_path))
    assert [one["name"] for one in listed][:2] == ["bakery", "grid"]
    assert (listed[0]["folder"], listed[0]["streams"], listed[0]["problems"]) == (str(own / "bakery"), 5, 0)
    assert {one["folder"] for one in listed[1:]} == {"kilowatch"}
    (own / "bakery" / "streams.yaml").write_text(spoil("streams.yaml", "mean: 230", "mean: -5"))
    assert [one["problems"] for one in told("list", "--data", str(tmp_path)) if one["name"] == "bakery"] == [
        1
    ]
    assert "bakery" in run("list", "--data", str(tmp_path))[1]


def test_a_setting_leads_to_own_worlds_elsewhere(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILOWATCH_WORLDS", str(own))
    assert told("list", "--data", str(tmp_path / "elsewhere"))[0]["name"] == "bakery"


def test_streams_and_scenarios_of_a_world_are_shown(tmp_path: Path, own: Path) -> None:
    shown = told("show", "bakery", "--data", str(tmp_path))
    assert [one["stream"] for one in shown["streams"]][:2] == ["oven.heat", "shop.visit"]
    assert [(one["scenario"], one["lasts_s"], one["faults"]) for one in shown["scenarios"]] == [
        ("cold_oven", 10_800, "outage")
    ]
    code, text = run("show", "bakery", "--data", str(tmp_path))
    assert (code, "cold_oven" in text, "shop.sale.rate" in text) == (0, True, True)


def test_everything_that_is_wrong_is_told_with_file_and_line(tmp_path: Path, own: Path) -> None:
    data = ("--data", str(tmp_path))
    assert run("check", *data) == (0, "6 worlds, nothing is wrong.\n")
    (own / "bakery" / "streams.yaml").write_text(spoil("streams.yaml", "mean: 230", "mean: -5"))
    (own / "bakery" / "events.yaml").write_text(spoil("events.yaml", "lasts: 6h", "lasts: soon"))
    for which in (["bakery"], [str(own)], [str(own / "bakery")], []):
        code, text = run("check", *which, *data)
        lines = text.splitlines()
        assert (code, lines[-1]) == (1, "2 problems in 1 world.")
        assert lines[0].startswith(f"{own / 'bakery' / 'events.yaml'}:6: ")
        assert lines[1].startswith(f"{own / 'bakery' / 'streams.yaml'}:5: ")
    assert [one["line"] for one in told("check", "bakery", *data)] == [6, 5]
    assert run("check", "grid", *data) == (0, "Nothing is wrong.\n")


def test_what_is_not_there_is_refused(tmp_path: Path, own: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (("check", "moon"), "there are bakery, grid"),
        (("check", str(tmp_path / "empty")), "There is no world in"),
        (("show", "moon"), "There is no world 'moon'"),
    ):
        with pytest.raises(StartRefused, match=said):
            run(*arguments, "--data", str(tmp_path))
    write_world(own, {"streams.yaml": "streams: 5"})
    with pytest.raises(StartRefused, match="kw world check bakery"):
        run("show", "bakery", "--data", str(tmp_path))


def test_the_schema_is_the_published_one() -> None:
    assert run("schema") == (0, write_schema())
