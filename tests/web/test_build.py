"""The web app is built when its sources say so, and what is packed holds it."""

import gzip
import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
BUILT = "src/kilowatch/web/dist"
WEB = ROOT / "web"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """`hatch_build.py`, which is no part of any package."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path, hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree whose app is built."""
    monkeypatch.delenv("KILOWATCH_WEB", raising=False)
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "web" / "src" / "main.tsx").write_text("one")
    (tmp_path / BUILT).mkdir(parents=True)
    (tmp_path / BUILT / ".stamp").write_text(hook.fingerprint(tmp_path / "web"))
    return tmp_path


def test_a_build_stands_until_a_source_changes(hook: ModuleType, tree: Path) -> None:
    main = tree / "web" / "src" / "main.tsx"
    assert not hook.needs_build(tree)
    main.touch()
    (tree / "web" / "node_modules" / "x").mkdir(parents=True)
    (tree / "web" / "node_modules" / "x" / "index.js").write_text("installed")
    assert not hook.needs_build(tree)
    main.write_text("two")
    assert hook.needs_build(tree)
    main.write_text("one")
    main.rename(main.with_name("other.tsx"))
    assert hook.needs_build(tree)


def test_a_build_can_be_skipped_and_forced(
    hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILOWATCH_WEB", "force")
    assert hook.needs_build(tree)
    monkeypatch.setenv("KILOWATCH_WEB", "skip")
    (tree / BUILT / ".stamp").unlink()
    assert not hook.needs_build(tree)
    monkeypatch.setenv("KILOWATCH_WEB", "")
    assert hook.needs_build(tree)
    monkeypatch.setenv("KILOWATCH_WEB", "sometimes")
    with pytest.raises(SystemExit, match="auto, skip, force"):
        hook.needs_build(tree)
    monkeypatch.delenv("KILOWATCH_WEB")
    shutil.rmtree(tree / "web")
    assert not hook.needs_build(tree)


def test_packages_are_fetched_when_the_lock_names_others(hook: ModuleType, tmp_path: Path) -> None:
    lock = {
        "": {"version": "0.1.0"},
        "node_modules/react": {"version": "19.3.1"},
        "node_modules/eslint": {"version": "10.15.0", "dev": True},
        "node_modules/windows-only": {"version": "1.0.0", "optional": True},
    }
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": lock}))
    assert hook.lacks_packages(tmp_path)
    (tmp_path / "node_modules").mkdir()
    kept = tmp_path / "node_modules" / ".package-lock.json"
    kept.write_text(json.dumps({"packages": {"node_modules/react": {"version": "19.3.1"}}}))
    assert not hook.lacks_packages(tmp_path)
    assert hook.lacks_packages(tmp_path, for_tests=True)
    kept.write_text(json.dumps({"packages": {**lock, "node_modules/react": {"version": "19.0.0"}}}))
    assert hook.lacks_packages(tmp_path)


def test_no_registry_is_written_down() -> None:
    assert '"resolved"' not in (WEB / "package-lock.json").read_text()
    assert "//" not in (WEB / ".npmrc").read_text()


def test_every_package_of_the_lock_has_a_version_and_a_checksum() -> None:
    """A lock that was written where packages of other platforms could not be found is refused by `npm ci`."""
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert [name for name, one in packages.items() if name and not {"version", "integrity"} <= set(one)] == []
    named = {name.rpartition("node_modules/")[2] for name in packages}
    optional = [name for one in packages.values() for name in one.get("optionalDependencies", {})]
    assert [name for name in optional if name not in named] == []


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_what_is_packed_holds_the_app(builder: type[WheelBuilder | SdistBuilder]) -> None:
    top = "kilowatch/web/dist" if builder is WheelBuilder else BUILT
    packed = {one.distribution_path for one in builder(str(ROOT)).recurse_included_files()}
    assert {f"{top}/{name}" for name in ("index.html", "sw.js", "manifest.webmanifest", ".stamp")} <= packed
    assert not [path for path in packed if "node_modules" in path]
    assert ("web/package-lock.json" in packed) == (builder is SdistBuilder)


def test_the_shell_s_files_are_there_and_compressed() -> None:
    built = ROOT / BUILT
    named = re.findall(r'(?:src|href)="/([^"]+)"', (built / "index.html").read_text())
    assert any(name.startswith("assets/") for name in named)
    for name in named:
        assert (built / name).is_file(), name
    for path in built.rglob("*.js"):
        assert path.stat().st_size < 1024 or path.with_name(f"{path.name}.br").is_file(), path
    for path in built.rglob("*.gz"):
        assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()


def test_nothing_is_loaded_from_elsewhere() -> None:
    shell = (ROOT / BUILT / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!/[^/])', shell)
    assert not re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", shell)
    for path in (ROOT / BUILT).rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import", path.read_text()), path
