"""`kw up`: one instance a folder, clear refusals, recovery from any kill, and nothing left behind."""

import signal
import socket
import stat
import subprocess
import urllib.request
from functools import partial

import psutil
import pytest

from tests.cli.conftest import START_WITHIN_S, Instance, run_kw
from tests.conftest import wait_until

CHILDREN = ("postgres", "nats", "mqtt", "worker", "server", "simulator")


def is_another(instance: Instance, name: str, before: int) -> bool:
    return instance.pid(name) not in (0, before)


def test_the_run_file_names_everything_that_runs(running: Instance) -> None:
    run_file = running.run_file()
    assert set(run_file["pids"]) == {*CHILDREN, "supervisor"}
    assert all(psutil.pid_exists(pid) for pid in run_file["pids"].values())
    assert "mqtt_password" not in run_file
    assert stat.S_IMODE((running.data / "run.json").stat().st_mode) == 0o600
    assert f"http://127.0.0.1:{run_file['port']}" in running.said()


def test_the_supervisor_is_small(running: Instance) -> None:
    assert psutil.Process(running.pid("supervisor")).memory_info().rss < 40_000_000


def test_the_server_shows_what_the_worker_counts(running: Instance) -> None:
    def shown() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.run_file()['port']}/metrics") as answer:
            return b'kilowatch_commits_total{worker="' in answer.read()

    wait_until(shown, START_WITHIN_S, "the worker's figures")


def test_a_second_one_on_the_folder_is_refused(running: Instance) -> None:
    second = run_kw("up", "--data", str(running.data), "--port", "0", "--mqtt-port", "0")
    assert second.returncode == 1
    assert "Another `kw up`" in second.stderr
    assert running.run_file()["pids"]["supervisor"] == running.process.pid


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_comes_back(running: Instance, name: str) -> None:
    wait_until(running.is_ready, START_WITHIN_S, "readiness")
    before = running.pid(name)
    psutil.Process(before).kill()
    wait_until(partial(is_another, running, name, before), START_WITHIN_S, f"another {name}")
    wait_until(running.is_ready, START_WITHIN_S, "readiness")


@pytest.mark.parametrize(
    ("option", "setting"), [("--port", "KILOWATCH_PORT"), ("--mqtt-port", "KILOWATCH_MQTT_PORT")]
)
def test_a_taken_port_is_refused_by_name(instance: Instance, option: str, setting: str) -> None:
    other = "--mqtt-port" if option == "--port" else "--port"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = str(holder.getsockname()[1])
        refused = run_kw("up", "--data", str(instance.data), option, taken, other, "0")
    assert refused.returncode == 1
    assert f"Port {taken}" in refused.stderr
    assert setting in refused.stderr
    assert instance.processes() == []


def test_ctrl_c_leaves_nothing_and_the_folder_starts_again(instance: Instance) -> None:
    instance.start()
    assert instance.stop() == 0
    assert instance.processes() == []
    assert not (instance.data / "run.json").exists()
    password = instance.data / "secrets.json"
    kept = password.read_text()
    instance.spawn()
    wait_until(lambda: len(instance.processes()) > 1, what="children")
    assert instance.stop(signal.SIGTERM) == 0  # in the midst of its start
    assert instance.processes() == []
    assert password.read_text() == kept


def test_nothing_outlives_a_killed_supervisor(instance: Instance) -> None:
    instance.start()
    instance.stop(signal.SIGKILL)
    wait_until(lambda: instance.processes() == [], START_WITHIN_S, "the end of all children")
    instance.start()
    wait_until(instance.is_ready, START_WITHIN_S, "readiness")


def test_a_copy_of_a_stopped_folder_starts_elsewhere_with_all_it_had(instance: Instance) -> None:
    instance.start()
    wish = ["--organisation", "home", "--scopes", "read"]
    made = run_kw("key", "create", *wish, "--create", "--data", str(instance.data))
    assert made.returncode == 0, made.stderr
    assert instance.stop() == 0
    copy = Instance(instance.data.with_name("copy"))
    subprocess.run(["cp", "-a", str(instance.data), str(copy.data)], check=True)
    copy.start()
    try:
        again = run_kw("key", "create", *wish, "--data", str(copy.data))
        verified = run_kw("verify", "--data", str(copy.data))
    finally:
        copy.stop()
    assert again.returncode == 0, again.stderr
    assert verified.returncode == 0, verified.stdout + verified.stderr
