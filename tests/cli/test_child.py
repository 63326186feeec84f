"""A child of the supervisor: one crash costs no pause; one that keeps failing is tried ever more rarely."""

import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from kilowatch.cli.child import PAUSES_S, Child, Spawn, restart_pause
from tests.conftest import wait_until


@pytest.mark.parametrize(
    ("runs_s", "pauses_s"),
    [
        ([5], [0]),
        ([3600], [0]),
        ([1] * 9, [0, 0.5, 1, 2, 4, 8, 10, 10, 10]),
        ([0] * 3, [0, 0.5, 1]),
        ([30, 30], [0, 0.5]),
        ([1, 1, 1, 31, 1, 1], [0, 0.5, 1, 0, 0.5, 1]),
        ([31, 31, 31], [0, 0, 0]),
    ],
)
def test_the_pause_grows_and_begins_anew_after_health(runs_s: list[float], pauses_s: list[float]) -> None:
    failures, waited = 0, []
    for ran_s in runs_s:
        failures, pause_s = restart_pause(failures, ran_s)
        waited.append(pause_s)
    assert waited == pauses_s


def test_no_pause_is_shorter_than_the_one_before() -> None:
    assert all(before < after for before, after in itertools.pairwise(PAUSES_S))
    assert PAUSES_S[0] <= 0.2


def crash(child: Child) -> None:
    """Kills it, and returns once it is dead."""
    process = child.process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: process.poll() is not None, what="a dead child")


def test_after_one_crash_it_runs_again_at_once_and_after_two_it_waits(tmp_path: Path) -> None:
    child = Child("sleeper", lambda: Spawn(["sleep", "600"]), log_folder=tmp_path)
    child.start()
    try:
        first = child.pid
        crash(child)
        assert child.look_after() == "sleeper ended (killed by SIGKILL); starting it again now"
        assert child.is_alive()
        assert child.pid != first
        crash(child)
        assert child.look_after() == "sleeper ended (killed by SIGKILL); starting it again in 0.5 s"
        assert not child.is_alive()
        assert child.look_after() is None
        assert child.restart_at is not None
        assert 0 < child.restart_at - time.monotonic() <= 0.5
        wait_until(lambda: child.look_after() is None and child.is_alive(), what="a third start")
        assert child.restarts == 2
    finally:
        child.stop(lambda: True)


def test_what_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.symlink_to("/bin/sleep")
    child = Child("sleeper", lambda: Spawn([str(program), "600"]), log_folder=tmp_path)
    child.start()
    try:
        program.unlink()
        crash(child)
        said = child.look_after()
        assert said is not None
        assert "cannot be started" in said
        assert child.restart_at is not None
        program.symlink_to("/bin/sleep")
        wait_until(lambda: child.look_after() is None and child.is_alive(), what="a start")
    finally:
        child.stop(lambda: True)
