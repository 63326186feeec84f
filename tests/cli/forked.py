"""`kw` in a process of its own that need not import it first: a fork of one that has.

Keeps true: a command has its own arguments, folder, environment and output, as if it had been started anew,
and leaves nothing behind for the next. `python -m tests.cli.forked` is the process that is forked; it ends
with its standard input.
"""

import atexit
import importlib
import json
import os
import pkgutil
import select
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from kilowatch import cli
from kilowatch.cli.main import main

ROOT = Path(__file__).parents[2]


class Kw:
    """Runs commands, one after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], within_s: float) -> subprocess.CompletedProcess[str]:
        """Runs `kw` to its end.

        Raises:
            subprocess.TimeoutExpired: if it has not ended after so long; it is killed then.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("out", "err")]
            wish = {
                "arguments": arguments, "files": [str(file) for file in files],
                "folder": str(Path.cwd()), "environment": dict(os.environ),
            }  # fmt: skip
            process.stdin.write(json.dumps(wish).encode() + b"\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            if not select.select([process.stdout], [], [], within_s)[0]:
                os.kill(child, 9)
                process.stdout.readline()
                raise subprocess.TimeoutExpired(["kw", *arguments], within_s)
            code = int(process.stdout.readline())
            out, err = (file.read_text(encoding="utf-8") for file in files)
        return subprocess.CompletedProcess(["kw", *arguments], code, out, err)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, "-m", "tests.cli.forked"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, bufsize=0
            )
            atexit.register(self._stop)
        return self._process

    def _stop(self) -> None:
        assert self._process is not None
        self._process.communicate()


def serve() -> None:
    """Forks for each line of standard input; answers the child's number at once, and how it ended."""
    for module in pkgutil.iter_modules(cli.__path__):
        importlib.import_module(f"{cli.__name__}.{module.name}")
    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_kw(wish)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _be_kw(wish: dict[str, Any]) -> NoReturn:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    for number, file in enumerate(wish["files"], 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.chdir(wish["folder"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    sys.argv = ["kw", *wish["arguments"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
