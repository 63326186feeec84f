"""The examples of the page on worlds make a world, and its tables name everything that there is."""

import re
from pathlib import Path
from typing import get_args

from kilowatch.simulator.world.format import Curve, FaultKind, Fleet, How
from kilowatch.simulator.world.loading import load_world

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "worlds.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"```yaml\n# (\w+\.yaml)\n(.*?)```", re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def test_the_examples_of_the_page_are_a_world(tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    folder.mkdir()
    for file, text in EXAMPLE.findall(PAGE):
        (folder / file).write_text(text, encoding="utf-8")
    world = load_world(folder)
    assert len(world.streams) == 3
    assert (list(world.templates), list(world.scenarios)) == (["blog_post"], ["algae"])


def test_no_example_is_longer_than_a_dozen_lines() -> None:
    lengths = {file: text.count("\n") for file, text in EXAMPLE.findall(PAGE)}
    assert len(lengths) == 5
    assert max(lengths.values()) <= 12


def test_the_tables_name_every_fault_effect_curve_and_fleet() -> None:
    heads = {"kind", "how", "curve"}
    fleets = get_args(Fleet.model_fields["kind"].annotation)
    there = {*get_args(FaultKind), *get_args(How), *get_args(Curve), *fleets}
    assert set(ROW.findall(PAGE)) - heads == there
