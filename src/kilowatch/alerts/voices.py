"""Voices: how an alert speaks to people. Owns the choice of the words; the words are in `voices/*.toml`.

A text is a title and lines. A line is one wording or several, of which the first is said whose values are all
known; a line without such a wording is left out. The closing lines of a voice then say what is known of the
value, the limit, the watts above normal, the cost, the time and the count, and was not said yet; the oracle,
who likes riddles, first says in short what happened.

Keeps true: an alert says the same as long as its facts, kind and severity are the same, unless a text that is
added to the voice takes it over; nothing is said that needs a value which is missing; the remedy is the plain
one in every voice. Texts are plain text: nobody escapes here, whoever shows them does.
"""

import hashlib
import re
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

VoiceName = Literal["plain", "oracle"]
Kind = Literal[
    "rule",
    "phantom_load",
    "spike",
    "ghost_walk",
    "high_consumption",
    "zero_consumption",
    "negative_consumption",
    "offline",
    "model",
]
Severity = Literal["low", "medium", "high", "critical"]

VOICES: Final[tuple[VoiceName, ...]] = get_args(VoiceName)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the least to the most pressing."""

PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
NAMELESS: Final = "this device"
"""What is said where a device has no name to say."""

_NAMES: Final = frozenset({"device", "site", "room"})
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?] )$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an alert, each already written for people (`kilowatch.alerts.figures`).

    None or an empty text is a fact that is missing.
    """

    device: str | None = None
    """The name of the device; for a ghost walk the one that stirred last, for a group its gateway."""
    site: str | None = None
    room: str | None = None
    state: str | None = None
    """What the device says that it is, after "while": `off`, `on standby`."""
    value: str | None = None
    """What was measured; of a device that is offline the last that was heard."""
    limit: str | None = None
    """What the value should not pass; of a device that is offline the longest silence allowed."""
    excess_w: str | None = None
    """Power above normal."""
    cost_per_day: str | None = None
    """What that power costs a day at the site's rate: `about 0.36 EUR`."""
    duration: str | None = None
    """How long it has lasted, after "for": `3 minutes`; of a device that is offline how long it is silent."""
    count: str | None = None
    """How many are concerned: `4 devices`."""
    metric: str | None = None
    """What is measured: `power`."""

    def known(self) -> dict[str, str]:
        """The facts that are not missing; there is always a word for the device."""
        told = {fact.name: getattr(self, fact.name) for fact in fields(self)}
        return {"device": NAMELESS} | {name: text for name, text in told.items() if text}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an alert says: what happened in short, in full, and what to do."""

    title: str
    description: str
    remedy: str


Line = tuple[str, ...]
"""Wordings of one sentence, the richest first."""


@dataclass(frozen=True, slots=True)
class Text:
    """One way to say an alert, before its facts are filled in."""

    title: Line
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """All that a voice can say."""

    texts: Mapping[tuple[Kind, Severity], tuple[Text, ...]]
    closing: Mapping[Kind, tuple[Line, ...]]
    """Lines for what a text did not tell."""


def speak(voice: VoiceName, kind: Kind, severity: Severity, facts: Facts, alert_id: uuid.UUID) -> Spoken:
    """The alert in words. The same arguments always give the same words."""
    words = load_voice(voice)
    text = choose_text(words.texts[kind, severity], alert_id)
    known = facts.known()
    spoken = [wording for line in (text.title, *text.lines) if (wording := _wording(line, known))]
    told = {name for wording in spoken for name in placeholders(wording)}
    for line in words.closing[kind]:
        untold = {name: value for name, value in known.items() if name not in told}
        if wording := _wording(line, untold):
            spoken.append(wording)
    title, *sentences = [_fill(wording, known) for wording in spoken]
    return Spoken(title, " ".join(sentences), load_remedies()[kind])


def placeholders(wording: str) -> list[str]:
    """The names of the facts that a wording needs."""
    return PLACEHOLDER.findall(wording)


def choose_text(texts: Sequence[Text], alert_id: uuid.UUID) -> Text:
    """The alert's own text of several. Another text takes over its share of alerts and changes no other."""
    return max(texts, key=lambda text: hashlib.sha256(alert_id.bytes + text.title[0].encode()).digest())


def _wording(line: Line, known: Mapping[str, str]) -> str | None:
    return next((wording for wording in line if all(name in known for name in placeholders(wording))), None)


def _fill(wording: str, known: Mapping[str, str]) -> str:
    """The wording with its facts. Facts that start a sentence get a capital, names stay as they are."""

    def fact(found: re.Match[str]) -> str:
        name = found[1]
        value = known[name]
        starts = _SENTENCE_START.search(wording[: found.start()])
        is_name = name in _NAMES and value != NAMELESS
        return value[0].upper() + value[1:] if starts and not is_name else value

    return PLACEHOLDER.sub(fact, wording)


# --- the files -------------------------------------------------------------------------------------------


@lru_cache(maxsize=len(VOICES))
def load_voice(name: VoiceName) -> Voice:
    """A voice as its files have it, read once."""
    if name == "plain":
        return _plain(_read("plain.toml"))
    texts = {
        (kind, severity): tuple(_text(entry) for entry in entries[severity])
        for kind, entries in ((kind, _read("oracle", f"{kind}.toml")) for kind in KINDS)
        for severity in SEVERITIES
    }
    added = _read("oracle.toml")
    closing = _lines(added["closing"])
    return Voice(texts, {kind: ((added["short"][kind],), *closing) for kind in KINDS})


@lru_cache(maxsize=1)
def load_remedies() -> dict[Kind, str]:
    """What to do about each kind of alert, in every voice."""
    written = _read("plain.toml")
    return {kind: written[kind]["remedy"] for kind in KINDS}


def _plain(written: dict[str, Any]) -> Voice:
    texts: dict[tuple[Kind, Severity], tuple[Text, ...]] = {}
    for kind in KINDS:
        lines = _lines(written[kind]["lines"])
        for severity in SEVERITIES:
            title = tuple(f"{written['lead'][severity]}: {wording}" for wording in written[kind]["title"])
            texts[kind, severity] = (Text(title, lines),)
    return Voice(texts, dict.fromkeys(KINDS, _lines(written["closing"])))


def _text(entry: dict[str, Any]) -> Text:
    return Text((entry["title"],), _lines([[line] for line in entry["lines"]]))


def _lines(written: list[list[str]]) -> tuple[Line, ...]:
    return tuple(tuple(wordings) for wordings in written)


def _read(*path: str) -> dict[str, Any]:
    return tomllib.loads(files("kilowatch.alerts").joinpath("voices", *path).read_text(encoding="utf-8"))
