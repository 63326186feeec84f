"""A whole instance, started as people start it, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.forked import Kw
from tests.conftest import wait_until

START_WITHIN_S = 120.0
MARK = "KILOWATCH_INSTANCE"
KW = Kw()


def run_kw(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `kw` to its end, without a terminal."""
    return KW.run(list(arguments), START_WITHIN_S)


class Instance:
    """`kw up` on a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        self.spawn()
        wait_until(lambda: "is ready" in self.said() or self.has_ended(), START_WITHIN_S, "the start")
        assert not self.has_ended(), self.said()

    def spawn(self) -> None:
        """Starts it and does not wait."""
        command = [sys.executable, "-m", "kilowatch.cli.main", "up", "--data", str(self.data)]
        with open(self.output, "wb") as output:
            self._process = subprocess.Popen(
                [*command, "--port", "0", "--mqtt-port", "0"], stdout=output, stderr=output
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def run_file(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return content

    def pid(self, name: str) -> int:
        """Number of a child, 0 while it does not run."""
        return int(self.run_file()["pids"].get(name, 0))

    def is_ready(self) -> bool:
        """Whether the server says that every engine answers."""
        url = f"http://127.0.0.1:{self.run_file()['port']}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to the folder, PostgreSQL's too."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == str(self.data)
                if ours or str(self.data) in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return [process for process in found if process.pid != os.getpid()]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the signal and waits for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance that the test starts."""
    instance = Instance(Path(os.path.realpath(tmp_path)) / "data")
    yield instance
    if instance._process is not None and not instance.has_ended():
        instance.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance that runs, shared by a module's tests."""
    instance = Instance(Path(os.path.realpath(tmp_path_factory.mktemp("kw"))) / "data")
    instance.start()
    yield instance
    deadline = time.monotonic() + 60
    instance.stop()
    assert time.monotonic() < deadline
