"""A world that can be played stays on the shelf, whatever becomes of its files."""

import os
import shutil
from pathlib import Path

from kilowatch.simulator.world.loading import find_worlds, load_world
from kilowatch.simulator.world.shelf import Shelf
from tests.simulator.small_world import FILES, spoil, write_world


def replace(folder: Path, file: str, text: str) -> None:
    """Writes a file anew, later than it was."""
    path = folder / file
    then = path.stat().st_mtime_ns + 1_000_000_000
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(then, then))


def test_a_changed_world_is_read_again(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    shelf = Shelf([tmp_path])
    assert shelf.refresh() == frozenset()
    before = shelf.worlds["bakery"]
    replace(folder, "streams.yaml", spoil("streams.yaml", "mean: 230", "mean: 250"))
    assert shelf.refresh() == {"bakery"}
    assert (before.streams["oven.heat"].mean, shelf.worlds["bakery"].streams["oven.heat"].mean) == (230, 250)
    assert not shelf.mistakes


def test_the_last_good_world_is_kept_and_its_mistakes_are_told(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    shelf = Shelf([tmp_path])
    replace(folder, "streams.yaml", spoil("streams.yaml", "mean: 230", "mean: -5"))
    assert shelf.refresh() == frozenset()
    assert shelf.worlds["bakery"].streams["oven.heat"].mean == 230
    (told,) = shelf.mistakes["bakery"]
    assert (told.file, told.line) == ("streams.yaml", 5)
    replace(folder, "streams.yaml", FILES["streams.yaml"])
    assert shelf.refresh() == frozenset()
    assert not shelf.mistakes


def test_a_world_whose_folder_goes_is_kept(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    shelf = Shelf([tmp_path])
    shutil.rmtree(folder)
    assert shelf.refresh() == frozenset()
    assert "bakery" in shelf.worlds
    assert "gone" in shelf.mistakes["bakery"][0].says
    write_world(tmp_path, {"world.yaml": spoil("world.yaml", "title: Bakery", "title: Baker")})
    assert shelf.refresh() == {"bakery"}
    assert not shelf.mistakes


def test_a_world_that_was_never_good_is_told_and_not_there(tmp_path: Path) -> None:
    folder = write_world(tmp_path, {"scenarios.yaml": None})
    shelf = Shelf([tmp_path])
    assert "bakery" not in shelf.worlds
    assert shelf.mistakes["bakery"]
    shutil.rmtree(folder)
    shelf.refresh()
    assert not shelf.mistakes


def test_a_new_world_is_found(tmp_path: Path) -> None:
    shelf = Shelf([tmp_path, tmp_path / "not there"])
    assert not shelf.worlds
    write_world(tmp_path)
    assert shelf.refresh() == {"bakery"}


def test_of_two_worlds_of_one_name_the_one_in_the_later_folder_counts(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    write_world(ours)
    write_world(theirs, {"world.yaml": spoil("world.yaml", "title: Bakery", "title: Theirs")})
    (ours / "notes").mkdir()
    found = find_worlds([ours, theirs])
    assert list(found) == ["bakery"]
    assert load_world(found["bakery"]).title == "Theirs"
    assert find_worlds([theirs, ours])["bakery"].parent == ours
