"""How results are shown: a table for people on standard output, or JSON; progress goes to standard error."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Row = tuple[str, str]


def progress_bars() -> Progress:
    """Bars on standard error, gone when they are done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


def show(title: str, result: dict[str, Any], rows: Sequence[Row], as_json: bool) -> None:
    """Prints a result."""
    console = Console()
    if as_json:
        console.print_json(json.dumps(result))
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in [*rows, *machine_rows(result)]:
        table.add_row(name, value)
    console.print(table)


def machine_rows(result: dict[str, Any]) -> list[Row]:
    """What it was measured on, with a warning where a figure may mean little."""
    machine = result.get("machine")
    if not machine:
        return []
    text = (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB, {machine['file_system']}, "
        f"Python {machine['python']}, Kilowatch {machine['kilowatch']}"
    )
    rows = [("machine", text)]
    if machine["load_before"] > machine["cores"] / 4:
        rows.append(("", f"[yellow]others were busy: load {machine['load_before']} before the run[/yellow]"))
    if machine["file_system"] == "tmpfs":
        rows.append(("", "[yellow]the files lay in memory, so an fsync cost nothing[/yellow]"))
    return rows


def spread(figures: dict[str, float], unit: str = "ms") -> str:
    """Percentiles in a line."""
    names = {"most": "most"}
    return (
        ", ".join(f"{names.get(name, name)} {value:,.1f} {unit}" for name, value in figures.items()) or "none"
    )


def shares(figures: dict[str, float], unit: str, digits: int = 1) -> str:
    """A total and its parts, the largest first."""
    parts = sorted(figures.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {value:,.{digits}f}" for name, value in parts if round(value, digits))
    return f"{sum(figures.values()):,.{digits}f} {unit} ({listed})"
