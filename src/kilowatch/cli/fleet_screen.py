"""How a run of `kw simulate` is shown: a table that is kept up to date, lines, or JSON lines."""

import json
import sys
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kilowatch.simulator.sending.run import Summary

ROWS_SHOWN = 12
COLUMNS = ("cycle", "time", "sent", "accepted", "refused", "readings/s", "lag", "buffered", "scenario")


class Screen(Protocol):
    """Where a run is told of."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, summary: Summary) -> None:
        """Tells of a cycle."""

    def say(self, text: str) -> None:
        """Tells of something that happened."""


def choose_screen(as_json: bool) -> Screen:
    """What suits where standard output goes."""
    if as_json:
        return JsonLines()
    console = Console()
    return LiveTable(console) if console.is_terminal else Lines()


class Lines:
    """A line for each cycle."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def show(self, summary: Summary) -> None:
        """See `Screen`."""
        told = zip(COLUMNS[1:-1], cells(summary)[1:-1], strict=True)
        lost = f"  lost {summary.lost:,}" if summary.lost else ""
        lost += f"  {summary.playing}" if summary.playing else ""
        lost += "".join(f"  {code} {count:,}" for code, count in summary.codes.items())
        name = f"cycle {summary.cycle}" if summary.cycle else "all"
        sys.stdout.write("  ".join([name, *(f"{name} {cell}" for name, cell in told)]) + lost + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """See `Screen`."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class JsonLines(Lines):
    """A JSON object for each cycle, one a line; the last has cycle 0 and tells of all."""

    def show(self, summary: Summary) -> None:
        """See `Screen`."""
        sys.stdout.write(json.dumps(summary.as_document()) + "\n")
        sys.stdout.flush()


class LiveTable:
    """The last cycles in a table that stays where it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: deque[Summary] = deque(maxlen=ROWS_SHOWN)
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, summary: Summary) -> None:
        """See `Screen`."""
        self._shown.append(summary)
        table = Table(box=None, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for one in self._shown:
            table.add_row(*cells(one), style=None if one.cycle else "bold")
        self._live.update(table, refresh=True)

    def say(self, text: str) -> None:
        """See `Screen`."""
        self._console.print(text, style="yellow")


def cells(summary: Summary) -> list[str]:
    """A summary's cells, in the order of `COLUMNS`."""
    return [
        str(summary.cycle) if summary.cycle else "all",
        summary.moment,
        f"{summary.sent:,}",
        f"{summary.accepted:,}",
        f"{summary.refused:,}",
        f"{summary.readings_per_s:,}",
        f"{summary.lag_s:.1f} s",
        f"{summary.buffered:,}",
        summary.playing,
    ]
