"""How alerts speak: every text is there, holds for whatever is known, and is unlike its neighbours."""

import itertools
import re
import uuid
from dataclasses import fields, replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.alerts.voices import (
    KINDS,
    NAMELESS,
    SEVERITIES,
    VOICES,
    Facts,
    Kind,
    Line,
    Severity,
    Text,
    VoiceName,
    choose_text,
    load_remedies,
    load_voice,
    placeholders,
    speak,
)

NAMES = [fact.name for fact in fields(Facts)]
FIGURES = {"value", "limit", "excess_w", "cost_per_day", "duration", "count"}
CELLS = list(itertools.product(KINDS, SEVERITIES))
MARKED = {name: f"7{name.upper()}7" for name in NAMES}
LONGEST = Facts(
    device="D" * 30,
    site="S" * 30,
    room="R" * 30,
    state="on standby",
    value="-12.34 MWh",
    limit="23 hours 59 minutes",
    excess_w="99.99 MW",
    cost_per_day="about 12345.67 EUR",
    duration="23 hours 59 minutes",
    count="100000 devices",
    metric="reactive_power_phase_3",
)
SMALL = 3
"""Letters of the longest word that says nothing about a text."""


def numbered(number: int) -> uuid.UUID:
    """Ids that look random and are the same in every run."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number))


@lru_cache(maxsize=1)
def everyone() -> list[tuple[VoiceName, Kind, Severity, Text, uuid.UUID]]:
    """Each text of each voice, with an alert that gets it."""
    found = []
    for voice, (kind, severity) in itertools.product(VOICES, CELLS):
        texts = load_voice(voice).texts[kind, severity]
        owners = {choose_text(texts, numbered(number)): numbered(number) for number in range(200)}
        assert set(owners) == set(texts), "a text that no alert gets"
        found += [(voice, kind, severity, text, owners[text]) for text in texts]
    return found


def wordings(text: Text) -> list[str]:
    return [*text.title, *itertools.chain.from_iterable(text.lines)]


def words(text: Text) -> frozenset[str]:
    """What makes a text its own: its words without placeholders and the small ones that all texts share."""
    bare = re.sub(r"\{\w+\}", " ", " ".join(wordings(text)).lower())
    return frozenset(word for word in re.findall(r"[a-z']+", bare) if len(word) > SMALL)


def all_lines(voice: VoiceName) -> list[Line]:
    words = load_voice(voice)
    own = [line for texts in words.texts.values() for text in texts for line in (text.title, *text.lines)]
    return own + [line for lines in words.closing.values() for line in lines]


# --- what there is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "severity"), CELLS)
def test_oracle_has_six_texts_and_plain_one_for_each_kind_and_severity(
    kind: Kind, severity: Severity
) -> None:
    assert len(load_voice("oracle").texts[kind, severity]) >= 6
    assert len(load_voice("plain").texts[kind, severity]) == 1


@pytest.mark.parametrize("voice", VOICES)
def test_every_placeholder_is_a_fact(voice: VoiceName) -> None:
    for wording in itertools.chain.from_iterable(all_lines(voice)):
        assert set(placeholders(wording)) <= set(NAMES), wording
        assert not set("{}") & set(re.sub(r"\{[a-z_]+\}", "", wording)), wording


@pytest.mark.parametrize("voice", VOICES)
def test_texts_are_plain_text(voice: VoiceName) -> None:
    for wording in [*itertools.chain.from_iterable(all_lines(voice)), *load_remedies().values()]:
        assert not re.search(r"[<>*`#\[\]\\\n\t]|&\w|__|  ", wording), wording
        assert wording == wording.strip()
        assert wording.isascii()


def test_each_oracle_text_names_the_device_and_a_figure() -> None:
    for voice, _, _, text, _ in everyone():
        if voice == "oracle":
            assert set(placeholders(text.title[0])) == {"device"}, text.title
            assert any(FIGURES & set(placeholders(wording)) for wording in wordings(text)), text.title


def test_plain_differs_between_severities_by_its_first_word_only() -> None:
    for kind in KINDS:
        spoken = [speak("plain", kind, severity, LONGEST, numbered(1)) for severity in SEVERITIES]
        assert [said.title.split(": ", 1)[0] for said in spoken] == ["Note", "Attention", "Warning", "Urgent"]
        assert len({said.title.split(": ", 1)[1] for said in spoken}) == 1
        assert len({said.description for said in spoken}) == 1


def test_remedies_are_plain_whoever_speaks() -> None:
    for kind, severity in CELLS:
        said = {speak(voice, kind, severity, LONGEST, numbered(2)).remedy for voice in VOICES}
        assert said == {load_remedies()[kind]}
        assert not placeholders(said.pop())
    assert len(set(load_remedies().values())) == len(KINDS)


# --- no two alike ----------------------------------------------------------------------------------------


def test_no_title_and_no_line_is_used_twice_by_the_oracle() -> None:
    every = [w for voice, _, _, text, _ in everyone() if voice == "oracle" for w in wordings(text)]
    assert sorted(every) == sorted(set(every))


def test_no_two_texts_share_more_than_a_sixth_of_their_words() -> None:
    texts = [(text, words(text)) for voice, _, _, text, _ in everyone() if voice == "oracle"]
    for (one, its), (other, theirs) in itertools.combinations(texts, 2):
        assert 6 * len(its & theirs) <= len(its | theirs), (one, other)


# --- for whatever is known -------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.sets(st.sampled_from(NAMES)))
def test_says_all_known_figures_and_nothing_that_is_missing(known: set[str]) -> None:
    facts = Facts(**{name: MARKED[name] for name in known})
    for voice, kind, severity, _, alert_id in everyone():
        said = speak(voice, kind, severity, facts, alert_id)
        both = f"{said.title} {said.description}"
        assert "{" not in both
        assert "None" not in both
        assert {name for name in NAMES if MARKED[name] in both} <= known
        for name in (FIGURES | {"device"}) & known:
            assert MARKED[name] in both, (name, both)
        assert (MARKED["device"] if "device" in known else NAMELESS) in re.sub("This device", NAMELESS, both)
        assert re.fullmatch(r"[A-Z0-9].*[.?!]", said.description), said.description
        assert re.match(r"[A-Z0-9]", said.title), said.title
        assert "  " not in both


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_fact_is_a_missing_one(name: str) -> None:
    for voice, kind, severity, _, alert_id in everyone():
        empty = speak(voice, kind, severity, replace(LONGEST, **{name: ""}), alert_id)
        assert empty == speak(voice, kind, severity, replace(LONGEST, **{name: None}), alert_id)


def test_plain_says_where_it_is() -> None:
    for kind in KINDS:
        assert speak("plain", kind, "low", LONGEST, numbered(3)).description.endswith(
            f"Place: {LONGEST.room}, {LONGEST.site}."
        )


def test_titles_and_descriptions_stay_short() -> None:
    for voice, kind, severity, _, alert_id in everyone():
        said = speak(voice, kind, severity, LONGEST, alert_id)
        assert len(said.title) <= 80, said.title
        assert len(said.description) <= 400, (len(said.description), said.description)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_names_come_through_untouched(name: str) -> None:
    for voice, kind in itertools.product(VOICES, KINDS):
        assert name in speak(voice, kind, "high", Facts(device=name, value="3 W"), numbered(4)).title


@pytest.mark.parametrize("name", ["{value}", "<b>&amp;", "iron", r"\g<0>", "*_`"])
def test_names_are_neither_templates_nor_markup(name: str) -> None:
    said = speak("plain", "offline", "low", Facts(device=name, value="3 W"), numbered(5))
    assert said.title == f"Note: {name} is silent"
    assert "3 W" in said.description


def test_a_kettle_on_standby() -> None:
    facts = Facts(
        device="Kettle",
        state="on standby",
        value="12.4 W",
        limit="2 W",
        excess_w="10.4 W",
        cost_per_day="about 0.08 EUR",
    )
    said = speak("plain", "phantom_load", "medium", facts, numbered(6))
    assert said.title == "Attention: Kettle uses power while on standby"
    assert said.description == (
        "It draws 12.4 W where 2 W is normal for standby: 10.4 W more, about 0.08 EUR a day."
    )
    assert said.remedy == "Unplug it, or use a switched socket."


# --- which text ------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.uuids(), st.sampled_from(VOICES), st.sampled_from(CELLS))
def test_an_alert_always_says_the_same(
    alert_id: uuid.UUID, voice: VoiceName, cell: tuple[Kind, Severity]
) -> None:
    again = uuid.UUID(str(alert_id))
    assert speak(voice, *cell, LONGEST, alert_id) == speak(voice, *cell, LONGEST, again)


@pytest.mark.parametrize(("kind", "severity"), CELLS)
def test_alerts_spread_over_the_texts(kind: Kind, severity: Severity) -> None:
    texts = load_voice("oracle").texts[kind, severity]
    chosen = [choose_text(texts, numbered(number)) for number in range(600)]
    fair = len(chosen) / len(texts)
    for text in texts:
        assert 0.5 * fair < chosen.count(text) < 1.5 * fair


@settings(deadline=None)
@given(st.uuids(), st.sampled_from(CELLS), st.integers(0, 5))
def test_a_text_more_changes_only_the_alerts_that_get_it(
    alert_id: uuid.UUID, cell: tuple[Kind, Severity], added: int
) -> None:
    after = load_voice("oracle").texts[cell]
    before = after[:added] + after[added + 1 :]
    assert choose_text(after, alert_id) in (choose_text(before, alert_id), after[added])
