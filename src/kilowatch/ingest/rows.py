"""Readings as Python objects, gathered into columns: the way for bodies whose readings do not look alike.

Keeps true that the columns stay within a bounded size, however many different metrics a body names: the cells
of all columns together are limited, and readings that would go beyond are faults of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from kilowatch.ingest.batch import Floats, Int32s, too_many

Metrics = Mapping[str, float]
Faults = dict[int, tuple[str, str]]

MOST_CELLS = 1 << 25
FEWEST_COLUMNS = 64


def places_of(names: Sequence[str]) -> tuple[list[str], Int32s]:
    """The distinct names in order of appearance, and for each name its place among them."""
    distinct = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return list(distinct), np.fromiter(map(distinct.__getitem__, names), np.int32, len(names))


def columns_of(metrics: Sequence[Metrics], max_metrics: int) -> tuple[dict[str, Floats], Faults]:
    """One column per metric named, and the rows that name too many. Values are finite floats."""
    columns = _Columns(len(metrics))
    faults: Faults = {}
    for names, rows in _alike(metrics):
        if len(names) > max_metrics:
            faults.update((row, ("too_many_metrics", too_many(max_metrics))) for row in rows)
        elif names and not columns.fill(names, rows, metrics):
            detail = (
                f"the request names more than {columns.most} different metrics; send fewer readings at once"
            )
            faults.update((row, ("too_many_metrics", detail)) for row in rows)
    return columns.filled, faults


def _alike(metrics: Sequence[Metrics]) -> Iterable[tuple[tuple[str, ...], Sequence[int]]]:
    """Rows grouped by the metrics that they name, in order of appearance."""
    kinds = list(map(tuple, metrics))
    if kinds and kinds.count(kinds[0]) == len(kinds):
        return [(kinds[0], range(len(kinds)))]
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, names in enumerate(kinds):
        groups.setdefault(names, []).append(row)
    return groups.items()


class _Columns:
    """Columns of one height, made as their metrics first appear, up to a bound."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.most = max(FEWEST_COLUMNS, MOST_CELLS // max(height, 1))
        self.filled: dict[str, Floats] = {}

    def fill(self, names: tuple[str, ...], rows: Sequence[int], metrics: Sequence[Metrics]) -> bool:
        """Writes the values of `rows`, which have just these metrics; False where they are too many."""
        fresh = [name for name in names if name not in self.filled]
        if len(self.filled) + len(fresh) > self.most:
            return False
        for name in fresh:
            self.filled[name] = np.full(self.height, np.nan)
        chosen = metrics if len(rows) == self.height else [metrics[row] for row in rows]
        cells = chain.from_iterable(values.values() for values in chosen)
        block = np.fromiter(cells, np.float64, len(rows) * len(names)).reshape(len(rows), len(names))
        for place, name in enumerate(names):
            if len(rows) == self.height:
                self.filled[name] = block[:, place].copy()
            else:
                self.filled[name][rows] = block[:, place]
        return True
