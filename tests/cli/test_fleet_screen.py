"""How a run is shown: lines, JSON lines, and a table that stays where it is."""

import io
import json

import pytest
from rich.console import Console

from kilowatch.cli.fleet_screen import ROWS_SHOWN, JsonLines, Lines, LiveTable, choose_screen
from kilowatch.simulator.sending.run import Summary


def summary(cycle: int, lost: int = 0, codes: dict[str, int] | None = None) -> Summary:
    return Summary(cycle, "2026-11-20T12:00:00Z", 1000, 998, 2, 99_800, 0.25, 40, lost, codes or {})


def test_lines_tell_of_each_cycle_and_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    with Lines() as screen:
        screen.show(summary(3))
        screen.show(summary(0, lost=5, codes={"too_old": 2}))
        screen.say("The instance is away.")
    told = capsys.readouterr()
    cycle, everything = told.out.splitlines()
    figures = "sent 1,000  accepted 998  refused 2  readings/s 99,800  lag 0.2 s  buffered 40"
    assert cycle == f"cycle 3  time 2026-11-20T12:00:00Z  {figures}"
    assert everything == f"all  time 2026-11-20T12:00:00Z  {figures}  lost 5  too_old 2"
    assert told.err == "The instance is away.\n"


def test_json_lines_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonLines() as screen:
        screen.show(summary(3, codes={"conflict": 1}))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == summary(3, codes={"conflict": 1}).as_document()


def test_a_table_shows_the_last_cycles() -> None:
    written = io.StringIO()
    with LiveTable(Console(file=written, force_terminal=True, width=120)) as screen:
        for cycle in range(1, ROWS_SHOWN + 4):
            screen.show(summary(cycle))
        screen.say("The instance is back.")
    last = written.getvalue().rpartition("buffered")[2]
    assert [int(line.split()[0]) for line in last.splitlines()[1:] if line.strip()[:1].isdigit()] == list(
        range(4, ROWS_SHOWN + 4)
    )
    assert "The instance is back." in written.getvalue()


def test_what_is_no_terminal_gets_lines() -> None:
    assert type(choose_screen(as_json=False)) is Lines
    assert type(choose_screen(as_json=True)) is JsonLines
