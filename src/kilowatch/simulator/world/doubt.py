"""A mistake in a part of the right form, and how names are looked up."""

from collections.abc import Iterator
from dataclasses import dataclass

from kilowatch.simulator.world.known import Names
from kilowatch.simulator.world.mistake import Place, suggest


@dataclass(frozen=True, slots=True)
class Doubt:
    """whole: the part that it is about as a whole; it is not to be told where that lost something."""

    place: Place
    says: str
    whole: Place | None = None


def doubt_name(place: Place, what: str, name: str | None, known: Names) -> Iterator[Doubt]:
    """A doubt, if nothing bears the name."""
    if name is not None and known is not None and name not in known:
        yield Doubt(place, f"there is no {what} `{name}`; {suggest(name, known)}")
