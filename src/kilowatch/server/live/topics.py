"""Topics: what a client may ask to be told about, and which topics a pattern covers.

Pure. A pattern is a topic or the beginning of one followed by `*`. Keeps true: a pattern of a family that
does not exist is refused when it is asked for, so that a misspelt topic is never silence.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kilowatch.errors import Fault, Problem

MOST_TOPICS = 1000
LONGEST_TOPIC = 200

NAMED = ("devices", "sites", "regions", "streams", "frequency")
"""Families whose topics carry a name after a point."""
PLAIN = ("alerts", "notifications", "commands", "tariffs", "anomalies")
"""Families that are one topic each."""
PERSONAL = "notifications"
"""The topic whose messages are one person's own."""


@dataclass(frozen=True, slots=True)
class Topics:
    """A set of patterns: whole topics, and beginnings that were written with `*`."""

    whole: frozenset[str] = frozenset()
    beginnings: frozenset[str] = frozenset()

    def __contains__(self, topic: object) -> bool:
        return isinstance(topic, str) and (
            topic in self.whole or any(topic.startswith(beginning) for beginning in self.beginnings)
        )

    def __or__(self, other: "Topics") -> "Topics":
        return Topics(self.whole | other.whole, self.beginnings | other.beginnings)

    def __sub__(self, other: "Topics") -> "Topics":
        return Topics(self.whole - other.whole, self.beginnings - other.beginnings)

    def __len__(self) -> int:
        return len(self.whole) + len(self.beginnings)

    @property
    def everything(self) -> bool:
        """Whether `*` alone was asked for."""
        return "" in self.beginnings

    @property
    def hears_streams(self) -> bool:
        """Whether anything of the simulator's streams was asked for."""
        named = any(len(self.names(family)) for family in ("streams", "frequency"))
        return named or self.everything or "anomalies" in self

    def names(self, family: str) -> "Topics":
        """What the patterns say about the names after `family.`; `*` alone says nothing about a family."""
        lead = family + "."
        beginnings = set()
        for beginning in self.beginnings:
            if beginning.startswith(lead):
                beginnings.add(beginning[len(lead) :])
            elif beginning and lead.startswith(beginning):
                beginnings.add("")
        whole = frozenset(topic[len(lead) :] for topic in self.whole if topic.startswith(lead))
        return Topics(whole, frozenset(beginnings))


def parse_topics(patterns: Iterable[str]) -> Topics:
    """The set of `patterns`.

    Raises:
        Problem: 422 `bad_topic`, with one fault for each pattern that is none.
    """
    whole: set[str] = set()
    beginnings: set[str] = set()
    faults: list[Fault] = []
    for index, pattern in enumerate(patterns):
        if not _is_pattern(pattern):
            faults.append(Fault("bad_topic", f"There is no topic {pattern[:LONGEST_TOPIC]!r}.", index=index))
        elif pattern.endswith("*"):
            beginnings.add(pattern[:-1])
        else:
            whole.add(pattern)
    if faults:
        raise Problem(422, "bad_topic", "Some topics do not exist; see `errors`.", faults)
    if len(whole) + len(beginnings) > MOST_TOPICS:
        raise Problem(422, "too_many_topics", f"At most {MOST_TOPICS} topics can be subscribed to at once.")
    return Topics(frozenset(whole), frozenset(beginnings))


def _is_pattern(pattern: str) -> bool:
    if not pattern or len(pattern) > LONGEST_TOPIC or not pattern.isprintable() or "*" in pattern[:-1]:
        return False
    open_ended = pattern.endswith("*")
    text = pattern.removesuffix("*")
    family, point, name = text.partition(".")
    if point:
        return family in NAMED and (open_ended or _is_name(family, name))
    if open_ended:
        return any(known.startswith(family) for known in (*NAMED, *PLAIN))
    return family in PLAIN


def _is_name(family: str, name: str) -> bool:
    return name in ("high", "medium", "low") if family == "frequency" else bool(name)
