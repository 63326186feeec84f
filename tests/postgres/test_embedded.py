"""The embedded server: prepared anywhere, closed to others, alive again after any end."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from kilowatch.errors import StartRefused
from kilowatch.postgres import unprivileged
from kilowatch.postgres.embedded import EmbeddedPostgres, install_folder
from kilowatch.postgres.leftover import server_processes
from kilowatch.postgres.roles import APP, LAKE, OWNER, ROLES, WORKER

if TYPE_CHECKING:
    from tests.postgres.conftest import OwnServer

AS_ROOT = os.geteuid() == 0


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
        return None if row is None else row[0]


def test_every_role_logs_in_and_nobody_without_a_password(own_server: "OwnServer") -> None:
    own_server.start()
    embedded = own_server.embedded
    for role in ROLES:
        assert ask(embedded.url(role), "SELECT current_user") == role
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(embedded.url(APP).replace(embedded.url(APP).split(":")[2].split("@")[0], "guess"))
    assert ask(embedded.url(APP), "SHOW listen_addresses") == ""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(embedded.url(APP), f"SHOW {setting}") == "on"
    assert ask(embedded.url(APP), "SHOW timezone") == "UTC"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(embedded.url(APP), f"SET ROLE {WORKER}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(embedded.url(LAKE), "CREATE TABLE public.mine (id integer)")
    assert own_server.stop() == 0
    assert not embedded.is_ready()


def test_secrets_are_for_the_owner_only_and_stay(own_server: "OwnServer") -> None:
    embedded = own_server.embedded
    embedded.prepare()
    path = embedded.folder / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = embedded.url(OWNER)
    embedded.prepare()
    assert EmbeddedPostgres(embedded.folder).url(OWNER) == before
    assert stat.S_IMODE(embedded.home.stat().st_mode) == 0o700


def test_what_was_committed_survives_a_kill(own_server: "OwnServer") -> None:
    own_server.start()
    url = own_server.embedded.url(OWNER)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    own_server.kill()
    own_server.start()
    assert ask(url, "SELECT number FROM kept") == 7


def test_a_lock_file_with_a_number_reused_does_not_stop_the_start(own_server: "OwnServer") -> None:
    own_server.start()
    own_server.kill()
    lock = own_server.embedded.cluster / "postmaster.pid"
    lines = lock.read_text().splitlines()
    stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE, **own_server.embedded.command().options)
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        own_server.start()
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_a_server_that_outlived_its_supervisor_is_ended(own_server: "OwnServer") -> None:
    own_server.start()
    orphan = own_server.process
    assert orphan is not None
    assert server_processes(own_server.embedded.cluster)
    own_server.embedded.prepare()
    assert orphan.wait(10) == 0
    assert server_processes(own_server.embedded.cluster) == []
    own_server.spawn()
    assert ask(own_server.embedded.url(APP), "SELECT 1") == 1


def test_an_interrupted_first_start_is_begun_anew(own_server: "OwnServer") -> None:
    home = own_server.embedded.home
    (home / "cluster.new" / "base").mkdir(parents=True)
    own_server.start()
    assert ask(own_server.embedded.url(APP), "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 60 + "/" + "y" * 60, "comma, blank", "quote's", "ümlaut"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    embedded = EmbeddedPostgres(tmp_path / name)
    embedded.prepare()
    command = embedded.command()
    with open(tmp_path / "start.log", "wb") as log:
        process = subprocess.Popen(command.argv, stdout=log, stderr=log, **command.options)
    try:
        deadline = time.monotonic() + 30
        while not embedded.is_ready():
            assert process.poll() is None, (tmp_path / "start.log").read_text()
            assert time.monotonic() < deadline
        assert ask(EmbeddedPostgres(tmp_path / name).url(APP), "SELECT 1") == 1
        assert stat.S_IMODE(embedded.socket_folder.stat().st_mode) == 0o700
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    if embedded.socket_folder.parent != embedded.home:
        embedded.socket_folder.rmdir()


# Root gives its rights up only after the imports: the interpreter may lie where others cannot look.
STORY = """
import os, subprocess, sys, time
from pathlib import Path
import psycopg
from kilowatch.postgres.embedded import EmbeddedPostgres, unprivileged
embedded = EmbeddedPostgres(Path(sys.argv[1]))
if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[2]))
embedded.prepare()
command = embedded.command()
assert "user" not in command.options
process = subprocess.Popen(command.argv, **command.options)
try:
    deadline = time.monotonic() + 30
    while not embedded.is_ready():
        assert process.poll() is None and time.monotonic() < deadline
    with psycopg.connect(embedded.url()) as connection:
        print(connection.execute("SELECT 6 * 7").fetchone()[0])
finally:
    process.send_signal(embedded.STOP_SIGNAL)
    process.wait(30)
"""


def test_an_ordinary_user_runs_it_as_itself(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    becoming = []
    if AS_ROOT:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        unprivileged.User(nobody.pw_uid, nobody.pw_gid, other=True).let_reach(folder)
        unprivileged.User(nobody.pw_uid, nobody.pw_gid, other=True).let_read(install_folder())
        becoming = [str(nobody.pw_uid), str(nobody.pw_gid)]
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(folder / "data"), *becoming],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.stdout.strip() == "42", done.stderr


def test_only_passing_through_is_granted(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    nobody = pwd.getpwnam("nobody")
    unprivileged.User(nobody.pw_uid, nobody.pw_gid, other=False).let_reach(closed / "open" / "postgres")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    before = stat.S_IMODE((closed / "open").stat().st_mode)
    unprivileged.User(nobody.pw_uid, nobody.pw_gid, other=True).let_reach(closed / "open" / "postgres")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert stat.S_IMODE((closed / "open").stat().st_mode) == before


def test_the_cluster_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: cluster.stat().st_uid + 1)
    with pytest.raises(StartRefused, match="belongs to user"):
        unprivileged.choose_user(cluster)
