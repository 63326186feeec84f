"""What the bench says of processes and machines."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from kilowatch.cli.bench.figures import cpu_seconds, describe_machine, file_system, memory_mb, spent_between
from tests.conftest import wait_until

BUSY = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
ENDED, LIVING = BUSY.format(seconds=0.3), BUSY.format(seconds=0.2) + "input()"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {ENDED!r}])
child = subprocess.Popen([sys.executable, "-c", {LIVING!r}], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
"""


def test_live_and_ended_children_count_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        root, parts = psutil.Process(process.pid), {process.pid: "parent", child: "child"}
        wait_until(lambda: cpu_seconds(root, parts)["child"] >= 0.15, what="a busy child")
        used = cpu_seconds(root, parts)
        held = memory_mb(root, parts)
        process.communicate("\n")
    assert set(used) == {"parent", "child"}
    assert 0.3 <= used["parent"] < 1.0
    assert 0.15 <= used["child"] < 0.8
    assert held["child"] > 1
    assert cpu_seconds(root, parts) == {}


def test_a_process_without_a_name_counts_with_the_one_above() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        named = memory_mb(psutil.Process(), {os.getpid(): "tests"})
        process.communicate(b"\n")
    assert set(named) == {"tests"}


def test_spent_is_the_difference_by_part() -> None:
    spent = spent_between({"server": 1.0, "gone": 2.0}, {"server": 1.5, "new": 0.25})
    assert spent == {"server": 0.5, "new": 0.25}


def test_the_machine_is_described(tmp_path: Path) -> None:
    machine = describe_machine(tmp_path)
    assert machine["cores"] >= 1
    assert machine["cpu"]
    assert machine["file_system"] == file_system(tmp_path)
    assert file_system(Path("/proc/self")) == "proc"
