"""A world that can be played stays on the shelf, whatever becomes of its files."""

import shutil
from pathlib import Path

from kilowatch.simulator.world.loading import find_worlds, load_world
from kilowatch.simulator.world.shelf import Shelf
from tests.simulator.small_world import FILES, replace, spoil, write_world


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


def test_a_world_that_never_was_good_does_not_hide_another_of_its_name(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    write_world(ours)
    bad = write_world(theirs, {"streams.yaml": spoil("streams.yaml", "mean: 230", "mean: -5")})
    shelf = Shelf([ours, theirs])
    assert (shelf.places["bakery"].parent, len(shelf.mistakes["bakery"])) == (ours, 1)
    replace(bad, "streams.yaml", spoil("streams.yaml", "mean: 230", "mean: 240"))
    assert shelf.refresh() == {"bakery"}
    assert (shelf.places["bakery"], dict(shelf.mistakes)) == (bad, {})
    replace(bad, "streams.yaml", "streams: 5")
    assert shelf.refresh() == frozenset()
    assert (shelf.worlds["bakery"].streams["oven.heat"].mean, bool(shelf.mistakes)) == (240, True)
    shutil.rmtree(bad)
    assert shelf.refresh() == {"bakery"}
    assert (shelf.places["bakery"].parent, dict(shelf.mistakes)) == (ours, {})


def test_a_folder_without_the_file_of_its_world_is_told_of(tmp_path: Path) -> None:
    write_world(tmp_path, {"world.yaml": None})
    assert "missing" in str(Shelf([tmp_path]).mistakes["bakery"][0])


def test_worlds_of_later_folders_come_first(tmp_path: Path) -> None:
    for folder, name in (("ours", "attic"), ("theirs", "bakery")):
        (tmp_path / folder).mkdir()
        text = spoil("world.yaml", "name: bakery", f"name: {name}")
        write_world(tmp_path / folder, {"world.yaml": text}).rename(tmp_path / folder / name)
    assert list(Shelf([tmp_path / "ours", tmp_path / "theirs"]).worlds) == ["bakery", "attic"]


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


def test_a_linked_folder_is_called_as_the_link_is(tmp_path: Path) -> None:
    ours, versions = tmp_path / "ours", tmp_path / "versions"
    ours.mkdir()
    versions.mkdir()
    folder = write_world(versions).rename(versions / "bakery-2")
    (ours / "bakery").symlink_to(folder)
    (ours / "butchery").symlink_to(folder)
    shelf = Shelf([ours])
    assert list(shelf.worlds) == ["bakery"]
    (told,) = shelf.mistakes["butchery"]
    assert "the folder is called `butchery`" in told.says
