"""Which system user runs the embedded PostgreSQL, and the least that this user must be allowed.

PostgreSQL refuses to run as root. An ordinary user runs it as itself, and nothing here changes anything.
Under root the server runs as the owner of the existing cluster, else as the system user `kilowatch` (made
with `useradd` when missing), else as `nobody`. Widened then, for others and only where that user lacks it:
the execute bit of the folders above the cluster and above the wheel (passing through, not listing), and
reading of the wheel's own PostgreSQL folder. Never widened: the data folder's content.
"""

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilowatch.errors import StartRefused

SYSTEM_USER = "kilowatch"
USERADD_WAIT_S = 10.0
USERADD_OPTIONS = ("--system", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin")


@dataclass(frozen=True, slots=True)
class User:
    """A system user by number; `other` says that it is not the user of this process."""

    uid: int
    gid: int
    other: bool

    def popen_options(self) -> dict[str, Any]:
        """What `subprocess` needs to run a child as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}

    def own(self, path: Path) -> None:
        """Hands a file or folder of ours to the user."""
        if self.other:
            os.chown(path, self.uid, self.gid)

    def let_reach(self, path: Path) -> None:
        """Makes sure that the user can pass through every folder above `path`."""
        if self.other:
            for folder in path.resolve().parents:
                self._grant(folder, 0o1)

    def let_read(self, folder: Path) -> None:
        """Makes sure that the user can read and run all of `folder`, which holds public software only."""
        if not self.other:
            return
        self.let_reach(folder)
        for parent, _, names in os.walk(folder):
            self._grant(Path(parent), 0o5)
            for name in names:
                path = Path(parent, name)
                self._grant(path, 0o5 if path.stat().st_mode & stat.S_IXUSR else 0o4)

    def _grant(self, path: Path, bits: int) -> None:
        """Adds `bits` (4 read, 1 execute) in the class in which the kernel will look the user up."""
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        wanted = bits << shift
        if found.st_mode & wanted != wanted:
            path.chmod(stat.S_IMODE(found.st_mode) | wanted)


def choose_user(cluster: Path) -> User:
    """The user that runs the server for this cluster.

    Raises:
        StartRefused: if the cluster belongs to somebody whom this process cannot become.
    """
    mine, owner = os.geteuid(), cluster.stat() if cluster.exists() else None
    if mine != 0:
        if owner is not None and owner.st_uid != mine:
            raise StartRefused(
                f"{cluster} belongs to user {owner.st_uid}, not to you (user {mine}). "
                "Start as that user or as root, or use another data folder."
            )
        return User(mine, os.getegid(), other=False)
    if owner is not None and owner.st_uid != 0:
        return User(owner.st_uid, owner.st_gid, other=True)
    entry = system_user()
    return User(entry.pw_uid, entry.pw_gid, other=True)


def system_user() -> pwd.struct_passwd:
    """The user `kilowatch`, made when missing; `nobody` where this machine cannot make one."""
    deadline = time.monotonic() + USERADD_WAIT_S
    while (entry := find_user(SYSTEM_USER)) is None and (useradd := shutil.which("useradd")):
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [useradd, *USERADD_OPTIONS, SYSTEM_USER],
            capture_output=True,
            text=True,
            check=False,
        )
        # Another process of ours may be adding the same user: it then holds the lock of the user database.
        locked = "lock" in done.stderr and time.monotonic() < deadline
        if done.returncode and not locked and find_user(SYSTEM_USER) is None:
            break
    chosen = entry or find_user("nobody")
    if chosen is None:
        raise StartRefused(
            "PostgreSQL refuses to run as root and there is no user to run it as; add one: useradd kilowatch"
        )
    return chosen


def find_user(name: str) -> pwd.struct_passwd | None:
    """The entry of a system user, or None."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
