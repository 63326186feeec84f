"""`kw world`: the worlds that this machine can play, and what is wrong with their files.

Keeps true: it reads the same folders in the same order as the simulator of the data folder, and needs no
running instance.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kilowatch.errors import StartRefused
from kilowatch.settings import Settings
from kilowatch.simulator.world.format import Scenario, Stream, World
from kilowatch.simulator.world.loading import find_places, is_world, load_world, shipped
from kilowatch.simulator.world.mistake import BadWorld, Mistake
from kilowatch.simulator.world.shelf import Shelf

WITH_KILOWATCH = "kilowatch"
"""What is told of the place of worlds that come with the program."""


def show_worlds(settings: Settings, as_json: bool) -> None:
    """Prints every world."""
    shelf, places = Shelf(_folders(settings)), find_places(_folders(settings))
    never_good = [name for name in shelf.mistakes if name not in shelf.worlds]
    rows = [
        {
            "name": name,
            **_counts(shelf.worlds.get(name)),
            "problems": len(shelf.mistakes.get(name, ())),
            "folder": _shown(shelf.places.get(name) or places[name][0]),
        }
        for name in [*shelf.worlds, *never_good]
    ]
    if as_json:
        Console().print_json(json.dumps(rows))
        return
    _print(rows)
    Console().print(f"Worlds of your own lie in {settings.worlds_folder}.", highlight=False, soft_wrap=True)


def show_world(settings: Settings, name: str, as_json: bool) -> None:
    """Prints the streams and scenarios of a world.

    Raises:
        StartRefused: if there is none that can be played.
    """
    shelf = Shelf(_folders(settings))
    world = shelf.worlds.get(name)
    if world is None:
        if name in shelf.mistakes:
            raise StartRefused(f"The world {name!r} cannot be played; `kw world check {name}` says why.")
        raise _unknown(name, shelf.worlds)
    streams = [_stream_row(stream, of) for stream, of in world.streams.items()]
    scenarios = [_scenario_row(scenario, of) for scenario, of in world.scenarios.items()]
    if as_json:
        told = {"name": name, "title": world.title, "streams": streams, "scenarios": scenarios}
        Console().print_json(json.dumps(told))
        return
    Console().print(f"{world.title}: {' '.join(world.description.split())}\n", highlight=False, markup=False)
    _print(streams)
    Console().print()
    _print(scenarios)


def check_worlds(settings: Settings, which: str | None, as_json: bool) -> bool:
    """Prints what is wrong with the files of worlds; whether nothing is.

    Raises:
        StartRefused: if there is no such world or folder.
    """
    places = _places_of(settings, which)
    rows = [
        {"world": str(place), "file": one.file, "line": one.line or None, "says": one.says}
        for place in places
        for one in _mistakes_of(place)
    ]
    if as_json:
        Console().print_json(json.dumps(rows))
    elif rows:
        _print_mistakes(rows)
    else:
        Console().print(
            f"{len(places)} worlds, nothing is wrong." if len(places) > 1 else "Nothing is wrong."
        )
    return not rows


def _folders(settings: Settings) -> list[Path]:
    return [shipped(), settings.worlds_folder]


def _places_of(settings: Settings, which: str | None) -> list[Path]:
    """The folders of the worlds that are meant."""
    found = find_places(_folders(settings))
    if which is None:
        return [place for places in found.values() for place in places]
    if which in found:
        return found[which][:1]
    folder = Path(which)
    if not folder.is_dir():
        raise _unknown(which, found)
    if is_world(folder):
        return [folder]
    inner = [place for places in find_places([folder]).values() for place in places]
    if not inner:
        raise StartRefused(f"There is no world in {which}; one has a `world.yaml`.")
    return inner


def _mistakes_of(place: Path) -> list[Mistake]:
    try:
        load_world(place)
    except BadWorld as bad:
        return bad.mistakes
    return []


def _unknown(name: str, known: Iterable[str]) -> StartRefused:
    return StartRefused(f"There is no world {name!r}; there are {', '.join(sorted(known))}.")


def _shown(place: Path) -> str:
    return WITH_KILOWATCH if place.parent == shipped() else str(place)


def _counts(world: World | None) -> dict[str, Any]:
    """What there is in a world; nothing in one that never was good."""
    if world is None:
        return {"title": None, "streams": 0, "scenarios": 0, "devices": None}
    return {
        "title": world.title,
        "streams": len(world.streams),
        "scenarios": len(world.scenarios),
        "devices": world.fleet.kind if world.fleet is not None else None,
    }


def _stream_row(name: str, stream: Stream) -> dict[str, Any]:
    return {
        "stream": name,
        "kind": stream.kind,
        "unit": stream.unit or None,
        "mean": stream.mean,
        "told": stream.cadence,
        "title": stream.title,
    }


def _scenario_row(scenario_id: str, scenario: Scenario) -> dict[str, Any]:
    return {
        "scenario": scenario_id,
        "name": scenario.name,
        "lasts_s": scenario.lasts,
        "settles_s": scenario.settling.lasts,
        "faults": ", ".join(dict.fromkeys(fault.kind for fault in scenario.faults)) or None,
        "description": " ".join(scenario.description.split()),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else _text(value) for value in row.values()))
    Console().print(table)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else escape(str(value))


def _print_mistakes(rows: list[dict[str, Any]]) -> None:
    """File and line as editors and terminals take them, whole folder and all."""
    console = Console()
    for row in rows:
        line = f":{row['line']}" if row["line"] else ""
        text = f"{Path(row['world']) / row['file']}{line}: {row['says']}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    problems, worlds = len(rows), len({row["world"] for row in rows})
    said = f"{problems} problem{'s' * (problems > 1)} in {worlds} world{'s' * (worlds > 1)}."
    console.print(said, highlight=False)
