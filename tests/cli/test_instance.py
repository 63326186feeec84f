"""The data folder's lock, `run.json`, and how partitions are named."""

import stat
from pathlib import Path

import pytest

from kilowatch.cli.instance import Addresses, RunFile, find_running, folder_lock, is_running, run_path
from kilowatch.cli.partitions import parse_partitions
from kilowatch.errors import StartRefused

ADDRESSES = Addresses("owner", "app", "worker", "lake", "nats", "mqtt", "secret")


def test_the_run_file_is_private_and_reads_back(tmp_path: Path) -> None:
    written = RunFile("127.0.0.1", 8000, 1883, ADDRESSES, {"server": 1})
    written.write(tmp_path)
    assert stat.S_IMODE(run_path(tmp_path).stat().st_mode) == 0o600
    assert RunFile.read(tmp_path) == written
    assert "secret" not in repr(written)
    assert written.url == "http://127.0.0.1:8000"


def test_a_stale_run_file_is_no_instance(tmp_path: Path) -> None:
    RunFile("127.0.0.1", 8000, None, ADDRESSES).write(tmp_path)
    assert find_running(tmp_path) is None
    with folder_lock(tmp_path):
        assert find_running(tmp_path) is not None
    assert not is_running(tmp_path)


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(StartRefused, match="Another `kw up`"), folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        assert is_running(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartRefused, match="cannot be used"), folder_lock(tmp_path / "file" / "data"):
        pass


@pytest.mark.parametrize(
    ("text", "total", "numbers"),
    [(None, 3, [0, 1, 2]), ("1", 3, [1]), ("0-1/3", 3, [0, 1]), ("2-2", 3, [2])],
)
def test_partitions_are_read(text: str | None, total: int, numbers: list[int]) -> None:
    assert parse_partitions(text, total) == numbers


@pytest.mark.parametrize("text", ["", "a", "0-3", "2-1", "3", "0-1/4", "-1"])
def test_wrong_partitions_are_refused(text: str) -> None:
    with pytest.raises(StartRefused, match="partitions"):
        parse_partitions(text, 3)
