"""The process behind `kw up`: starts the engines, prepares them, starts our processes, looks after all.

Keeps true: what dies is started again; what stops is stopped in the reverse of its order of start (doors,
worker, engines); what a killed predecessor left running is ended before anything starts. It lives as long
as the instance, so it imports next to nothing and is a program of its own, which `kw up` becomes.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from kilowatch.cli.child import Child, Spawn, ending
from kilowatch.cli.instance import ADDRESSES, MARK, Addresses, RunFile, folder_lock, run_path
from kilowatch.cli.screen import Screen
from kilowatch.errors import StartRefused
from kilowatch.postgres.embedded import EmbeddedPostgres, write_secrets
from kilowatch.postgres.roles import APP, LAKE, OWNER, WORKER, as_role
from kilowatch.secret_file import keep_secret
from kilowatch.simulator.home.given import Given, command
from kilowatch.stream.embedded import HOST, EmbeddedNats, MqttListener, choose_port, near

PLAN = "KILOWATCH_PLAN"
LOOK_EVERY_S = 0.25
READY_EVERY_S = 0.03
START_WITHIN_S = 120.0
LEFTOVER_WAIT_S = 10.0
STORE_MAX_BYTES = 1 << 50
"""No bound of the servers: each stream has its own, and the doors watch the disk."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `kw up` has decided from settings and options."""

    data: str
    host: str
    port: int
    mqtt_port: int
    demo: bool
    partitions: int
    postgres_url: str | None = field(default=None, repr=False)
    postgres_app_url: str | None = field(default=None, repr=False)
    nats_url: str | None = field(default=None, repr=False)
    mqtt_nats_url: str | None = field(default=None, repr=False)
    simulator_key: str | None = field(default=None, repr=False)
    mqtt_system_url: str | None = field(default=None, repr=False)
    worlds: str | None = None
    mqtt_host: str = HOST
    mqtt_issuer: str = ""
    """Public key of those who decide logins over MQTT."""


class Stopped(Exception):
    """Somebody asked to stop while the instance was starting."""


class Supervisor:
    """One running instance."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._screen = screen
        self._data = Path(plan.data)
        self._logs = self._data / "log"
        self._children: list[Child] = []
        self._stops = 0
        self._run_file: RunFile | None = None
        self._wake_reader, self._wake_writer = os.pipe()

    def run(self) -> None:
        """Starts everything, looks after it until told to stop, and stops everything.

        Raises:
            StartRefused: if it cannot start; then nothing is left running.
        """
        self._listen_to_signals()
        with folder_lock(self._data):
            end_leftovers(self._data)
            run_path(self._data).unlink(missing_ok=True)
            try:
                self._start()
                while not self._stops:
                    self._look_after()
                    self._pause(LOOK_EVERY_S)
            except Stopped:
                pass
            except StartRefused:
                if not self._stops:  # a part that ends at Ctrl-C refuses nothing
                    raise
            finally:
                self._stop()

    def _start(self) -> None:
        """Starts everything. Our own processes start at once, since most of their start is loading; those
        that need prepared tables wait for `run.json` (see `places.find_addresses`)."""
        plan = self._plan
        port = choose_port(plan.port, "KILOWATCH_PORT (--port)", plan.host)
        passwords = kept_passwords(self._data)
        postgres = None if plan.postgres_url else EmbeddedPostgres(self._data)
        self._screen.step("Starting PostgreSQL and NATS")
        nats_urls, mqtt_port = self._start_nats(passwords)
        addresses = Addresses(*self._postgres_urls(postgres), *nats_urls)
        migration = self._start_migration(addresses)
        try:
            server = self._start_own(port, mqtt_port)
            if postgres is not None:
                self._add_postgres(postgres)
            self._await(self._children, "the engines")
            self._await_end(migration)
        finally:
            migration.stop(lambda: True)
        self._run_file = RunFile(plan.host, port, mqtt_port, addresses)
        self._write_run_file()
        server.is_ready_when(lambda: answers(plan.host, port))
        self._await([server], "the server")
        self._start_simulator(self._run_file.url)
        self._write_run_file()
        self._screen.ready(self._run_file.url, self._data, mqtt_port)

    def _start_nats(self, passwords: dict[str, str]) -> tuple[tuple[str, str, str | None], int | None]:
        """Starts the NATS servers, unless there is an external one; returns addresses and MQTT's port."""
        plan = self._plan
        if plan.nats_url is not None:
            return (plan.nats_url, plan.mqtt_nats_url or plan.nats_url, plan.mqtt_system_url), None
        mqtt_port = choose_port(plan.mqtt_port, "KILOWATCH_MQTT_PORT", plan.mqtt_host)
        log = EmbeddedNats(self._data / "nats", choose_port(0, ""), passwords["nats"], STORE_MAX_BYTES)
        self._add_nats("nats", log)
        listener = MqttListener(mqtt_port, plan.mqtt_issuer, passwords["system"], plan.mqtt_host)
        mqtt = EmbeddedNats(
            self._data / "mqtt", choose_port(0, ""), passwords["nats"], STORE_MAX_BYTES, listener
        )
        self._add_nats("mqtt", mqtt)
        return (log.url, mqtt.url, mqtt.system_url), mqtt_port

    def _postgres_urls(self, embedded: EmbeddedPostgres | None) -> tuple[str, str, str, str]:
        """Addresses as owner, application, worker and lake."""
        if embedded is not None:
            return embedded.url(OWNER), embedded.url(APP), embedded.url(WORKER), embedded.url(LAKE)
        owner = self._plan.postgres_url or ""
        app = self._plan.postgres_app_url or as_role(owner, APP)
        return owner, app, as_role(owner, WORKER), as_role(owner, LAKE)

    def _start_own(self, port: int, mqtt_port: int | None) -> Child:
        """Starts worker and server; returns the server."""
        plan = self._plan
        every = f"0-{plan.partitions - 1}/{plan.partitions}"
        self._add_own("worker", ["worker", "--jobs", "--partitions", every], {}, stop_within_s=30.0)
        environment = {"KILOWATCH_HOST": plan.host, "KILOWATCH_PORT": str(port)}
        if mqtt_port is not None:
            environment["KILOWATCH_MQTT_PORT"] = str(mqtt_port)
        if plan.demo:
            environment["KILOWATCH_DEMO"] = "1"
        return self._add_own("server", ["serve"], environment)

    def _start_simulator(self, url: str) -> None:
        """Starts what plays homes to try; on a demo the player of the meters does that as well."""
        if self._plan.demo:
            self._add_own("simulator", ["simulate", "--demo-meters"], {}, in_terminal=True)
            return
        key = self._plan.simulator_key or keep_secret(self._data, "simulator").decode()
        given = Given(url, key, self._plan.worlds)
        spawn = Spawn(command(), {"env": self._environment(given.as_environment())})
        self._add(Child("simulator", lambda: spawn, log_folder=self._logs))

    def _add_nats(self, name: str, nats: EmbeddedNats) -> Child:
        nats.prepare()
        environment = self._environment({})

        def spawn() -> Spawn:
            return Spawn(nats.command(), {"env": environment})

        return self._add(Child(name, spawn, log_folder=self._logs, is_ready=nats.is_ready))

    def _add_postgres(self, postgres: EmbeddedPostgres) -> Child:
        def spawn() -> Spawn:
            postgres.prepare()
            command = postgres.command()
            return Spawn(command.argv, command.options)

        child = Child(
            "postgres",
            spawn,
            log_folder=self._logs,
            is_ready=postgres.is_ready,
            stop_signal=EmbeddedPostgres.STOP_SIGNAL,
        )
        return self._add(child, first=True)

    def _add_own(
        self,
        name: str,
        arguments: list[str],
        environment: dict[str, str],
        *,
        stop_within_s: float = 15.0,
        in_terminal: bool = False,
    ) -> Child:
        spawn = Spawn(own_command(arguments), {"env": self._environment(environment)})
        child = Child(
            name,
            lambda: spawn,
            log_folder=None if in_terminal else self._logs,
            stop_within_s=stop_within_s,
        )
        return self._add(child)

    def _add(self, child: Child, *, first: bool = False) -> Child:
        """Starts a child; `first` puts it before the others in the order, so that it stops after them."""
        self._children.insert(0 if first else len(self._children), child)
        child.start()
        return child

    def _start_migration(self, addresses: Addresses) -> Child:
        """Starts `kw migrate`, which makes tables, lake and streams as soon as the engines answer."""
        environment = self._environment({ADDRESSES: json.dumps(asdict(addresses))})
        spawn = Spawn(own_command(["migrate"]), {"env": environment})
        child = Child("migrate", lambda: spawn, log_folder=self._logs)
        child.start()
        return child

    def _await_end(self, migration: Child) -> None:
        self._screen.step("Preparing tables and streams")
        while migration.is_alive():
            self._pause(READY_EVERY_S)
        code = migration.process.returncode if migration.process else 1
        if code:
            raise StartRefused(f"Preparing tables and streams failed ({ending(code)}):\n{migration.tail()}")

    def _await(self, children: list[Child], what: str) -> None:
        """Waits until all are ready.

        Raises:
            StartRefused: if one ends, or does not become ready in time.
        """
        self._screen.step(f"Waiting for {what}")
        deadline = time.monotonic() + START_WITHIN_S
        while not all(child.is_ready() for child in children):
            for child in children:
                if not child.is_alive():
                    code = child.process.returncode if child.process else 1
                    raise StartRefused(f"{child.name} ended while starting ({ending(code)}):\n{child.tail()}")
            if time.monotonic() > deadline:
                names = ", ".join(child.name for child in children if not child.is_ready())
                raise StartRefused(f"Not ready within {START_WITHIN_S:.0f} s: {names}; see {self._logs}")
            self._pause(READY_EVERY_S)

    def _look_after(self) -> None:
        before = [child.pid for child in self._children]
        for child in self._children:
            said = child.look_after()
            if said:
                self._screen.say(said)
        if before != [child.pid for child in self._children]:
            self._write_run_file()

    def _stop(self) -> None:
        asked = self._stops
        if self._children:
            self._screen.step("Stopping")
        for child in reversed(self._children):
            child.stop(lambda: self._stops > max(asked, 1))
        run_path(self._data).unlink(missing_ok=True)
        if self._stops:
            self._screen.say("Stopped." if self._children else "Stopped before the start.")
        else:
            self._screen.clear()

    def _write_run_file(self) -> None:
        if self._run_file is not None:
            running = {child.name: child.pid for child in self._children}
            self._run_file.pids = {name: pid for name, pid in running.items() if pid is not None}
            self._run_file.pids["supervisor"] = os.getpid()
            self._run_file.write(self._data)

    def _environment(self, added: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != PLAN}
        return {**kept, "KILOWATCH_DATA": str(self._data), MARK: str(self._data), **added}

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wake_writer, False)
        os.set_blocking(self._wake_reader, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._stops += 1

    def _pause(self, seconds: float) -> None:
        """Waits, but not longer than until the next signal.

        Raises:
            Stopped: if that signal was to stop.
        """
        self._screen.turn()
        select.select([self._wake_reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)
        if self._stops:
            raise Stopped


def own_command(arguments: list[str]) -> list[str]:
    """The command line that runs `kw` with these arguments in this Python."""
    return [sys.executable, "-m", "kilowatch.cli.main", *arguments]


def kept_passwords(data: Path) -> dict[str, str]:
    """Our own passwords at the NATS servers, made once per data folder."""
    path = data / "secrets.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known = kept.get("nats", {})
    wanted = {name: known.get(name) or secrets.token_hex(16) for name in ("nats", "system")}
    if wanted != known:
        write_secrets(path, {**kept, "nats": wanted})
    return wanted


def answers(host: str, port: int) -> bool:
    """Whether the HTTP server says that it is alive."""
    try:
        with socket.create_connection((near(host), port), 1.0) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(16).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def end_leftovers(data: Path) -> None:
    """Ends processes that a killed supervisor of this data folder left. PostgreSQL's own way is to be asked
    by `EmbeddedPostgres.prepare`."""
    found = leftovers(data)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(found, LEFTOVER_WAIT_S)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, LEFTOVER_WAIT_S)


def leftovers(data: Path) -> list[psutil.Process]:
    """Processes that carry this data folder's mark and are not our own ancestors."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(data):
                found.append(process)
    return found


def main() -> None:
    """Runs the plan in the environment variable `KILOWATCH_PLAN`; exit code 1 when it cannot start."""
    screen = Screen(sys.stdout)
    try:
        Supervisor(Plan(**json.loads(os.environ.pop(PLAN))), screen).run()
    except StartRefused as error:
        screen.clear()
        sys.stderr.write(f"kw up: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
