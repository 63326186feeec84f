"""What the documents show works: their commands run, their links lead somewhere, their options exist.

The blocks of a document run in order, in a folder as after `make install` whose instance is running. Only the
address of the instance is put in, and `KEY` is set to a key of it; a block must end with 0, and every request
in it must succeed. What cannot be run is marked before its block: <!-- not run: why -->.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from kilowatch.cli.main import app
from tests.cli.conftest import Instance, run_kw
from tests.documents.shell_blocks import DOCUMENTS, ROOT, find_blocks

ADDRESS = "127.0.0.1:8000"
"""What the documents call the instance's address."""
WITHIN_S = 120.0
LINK = re.compile(r"\]\(([^)#:\s]+)[^):]*\)")
MENTION = re.compile(r"`kw ([^`]+)`")

with_blocks = [document for document in DOCUMENTS if any(find_blocks(document))]


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that commands run in, the instance's address, and a key."""

    folder: Path
    address: str
    key: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder as the documents see it: `.venv/bin`, and `./data` on which an instance runs."""
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("documents")))
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    python, curl = shlex.quote(sys.executable), shutil.which("curl")
    runner = f"{python} {shlex.quote(str(Path(__file__).with_name('curl.py')))}"
    commands = {
        "kw": f"{python} -m kilowatch.cli.main",
        "python": python,
        "curl": f"{curl or runner} --fail --silent --show-error",
    }
    for name, command in commands.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    instance = Instance(folder / "data")
    instance.start()
    try:
        yield Place(folder, f"127.0.0.1:{instance.run_file()['port']}", make_key(instance))
    finally:
        instance.stop()


def make_key(instance: Instance) -> str:
    wish = ["--organisation", "home", "--create", "--scopes", "ingest,read,admin", "--auto-register"]
    made = run_kw("key", "create", *wish, "--data", str(instance.data))
    return str(json.loads(made.stdout)["key"])


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", with_blocks, ids=name_of)
def test_the_commands_of_a_document_run(document: Path, place: Place) -> None:
    exported = {**os.environ, "KEY": place.key}
    exported["PATH"] = f"{place.folder / '.venv' / 'bin'}{os.pathsep}{exported['PATH']}"
    kept = place.folder / "exported"
    for block in find_blocks(document):
        if block.not_run is not None:
            continue
        script = f"{block.script.replace(ADDRESS, place.address)}\nenv -0 > {shlex.quote(str(kept))}\n"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=place.folder,
            env=exported,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
        assert done.returncode == 0, (
            f"{block.where}: exit code {done.returncode}; mend it, or mark it <!-- not run: why -->\n"
            f"{block.script}\n{done.stdout}{done.stderr}"
        )
        lines = kept.read_bytes().decode().rstrip("\0").split("\0")
        exported = dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_and_options_that_a_document_names_exist(document: Path) -> None:
    wrong = []
    for mention in MENTION.findall(document.read_text(encoding="utf-8")):
        words = mention.split()
        command: Any = typer.main.get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        is_unknown = hasattr(command, "commands") and words[:1] not in ([], ["..."])
        options = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in words if word.startswith("--") and word not in {*options, "--help"}]
        if unknown or is_unknown:
            wrong.append(f"kw {mention}")
    assert wrong == []


def test_the_runner_for_machines_without_curl_sends_the_same(place: Place) -> None:
    runner = [sys.executable, str(Path(__file__).with_name("curl.py"))]
    readings = f"http://{place.address}/api/v1/readings"
    headers = ["-H", f"Authorization: Bearer {place.key}", "-H", "Content-Type: application/json"]
    body = ["-d", '{"device": "lamp", "metrics": {"power": 9.5}}']
    sent = subprocess.run([*runner, readings, *headers, *body], capture_output=True, text=True, check=False)
    assert (sent.returncode, json.loads(sent.stdout)["accepted"]) == (0, 1), sent.stderr
    refused = subprocess.run([*runner, readings, *body], capture_output=True, check=False)
    assert refused.returncode == 22
