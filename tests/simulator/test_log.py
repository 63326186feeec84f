"""The log of the simulator: a fault takes a line of it, and none of its secrets."""

import json
import os
import subprocess
import sys

from kilowatch.simulator.home.given import Given

ROOT = "the-secret-that-both-share"
FAULT = """
import structlog
from kilowatch.clock import SystemClock
from kilowatch.simulator.home import program
from kilowatch.simulator.stage.program import Program

def play(given, stop):
    worlds = Program(given.base_url, given.root.encode(), None, SystemClock())
    try:
        worlds.make_desk()
    except TypeError:
        structlog.get_logger().exception("a question cannot be answered", worlds=worlds)

program.play = play
program.main()
"""


def test_a_fault_is_one_line_of_the_log_without_secrets() -> None:
    environment = os.environ | Given("http://127.0.0.1:9", ROOT).as_environment()
    said = subprocess.run([sys.executable, "-c", FAULT], env=environment, capture_output=True, check=True)
    (line,) = (said.stdout + said.stderr).decode().splitlines()
    told = json.loads(line)
    assert told["event"] == "a question cannot be answered"
    assert "TypeError" in told["exception"]
    assert ROOT not in line
