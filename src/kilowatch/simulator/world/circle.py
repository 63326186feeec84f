"""Circles in what follows from what. Pure.

Keeps true: each circle that is found is a real one, and where there is none left out one edge of each found
makes everything follow in some order.
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

Follows = Mapping[str, set[str]]
"""What something follows from, directly."""


def find_circles(follows: Follows) -> Iterator[list[str]]:
    """Circles, each as the names on the way round: the second follows from the first, and so on; the last
    is the first again."""
    left = {name: set(sources) for name, sources in follows.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            yield circle
            left[circle[1]].discard(circle[0])
        else:
            return
