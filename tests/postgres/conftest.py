"""A PostgreSQL of a test module's own, which its tests may stop, kill and start again."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kilowatch.postgres.embedded import EmbeddedPostgres

WITHIN_S = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Returns once the condition holds; fails the test when it does not in time."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {WITHIN_S} s")
        time.sleep(0.005)


class OwnServer:
    """An embedded cluster with the process that runs it."""

    def __init__(self, folder: Path) -> None:
        self.embedded = EmbeddedPostgres(folder)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.embedded.prepare()
        self.spawn()

    def spawn(self) -> None:
        """Starts the server without preparing, as a supervisor does."""
        command = self.embedded.command()
        with open(self.embedded.folder / "start.log", "ab") as log:
            process = subprocess.Popen(command.argv, stdout=log, stderr=log, **command.options)
        self.process = process
        wait_until(lambda: self.embedded.is_ready() or process.poll() is not None, "a ready PostgreSQL")
        if process.poll() is not None:
            pytest.fail((self.embedded.folder / "start.log").read_text())

    def stop(self) -> int:
        """Stops the server as a supervisor does; its exit status."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(EmbeddedPostgres.STOP_SIGNAL)
        return process.wait(WITHIN_S)

    def kill(self) -> None:
        """Kills the server's first process as `kill -9` does."""
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            process.wait(WITHIN_S)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A server of this test's own, not started yet."""
    server = OwnServer(tmp_path / "data")
    yield server
    server.stop()
    if server.embedded.home.exists() and server.embedded.socket_folder.parent != server.embedded.home:
        server.embedded.socket_folder.rmdir()
