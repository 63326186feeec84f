"""The name table finds every name it holds and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.ingest.names import NameTable, words_of_names

NAMES = st.lists(st.text(alphabet="ab-9_Z", min_size=1, max_size=64), unique=True, max_size=60)


@settings(deadline=None)
@given(held=NAMES, asked=NAMES)
def test_table_agrees_with_a_dict(held: list[str], asked: list[str]) -> None:
    table = NameTable(held, range(5, 5 + len(held)))
    expected = {name: number for number, name in enumerate(held, 5)}
    both = held + asked
    assert table.find_names(both).tolist() == [expected.get(name, -1) for name in both]
    assert len(table) == len(held)


@settings(deadline=None)
@given(held=NAMES, asked=NAMES)
def test_narrow_words_find_the_same(held: list[str], asked: list[str]) -> None:
    table = NameTable(held, range(len(held)))
    short = [name for name in held + asked if len(name) < 16]
    if short:
        assert table.find(words_of_names(short)[:2].copy()).tolist() == table.find_names(short).tolist()


def test_table_grows_and_renumbers() -> None:
    table = NameTable()
    names = [f"meter-{number:05}" for number in range(20_000)]
    for first in range(0, len(names), 777):
        part = names[first : first + 777]
        table.add(part, range(first, first + len(part)))
    assert table.find_names(names).tolist() == list(range(20_000))
    table.add(["meter-00005", "other", "other"], [1, 2, 3])
    assert table.find_names(["meter-00005", "other", "meter-00006", "none"]).tolist() == [1, 3, 6, -1]


@pytest.mark.parametrize("name", ["", "x" * 65, "a\0b", "\ud800"])
def test_impossible_names_are_unknown_and_cannot_be_added(name: str) -> None:
    table = NameTable(["a"], [1])
    assert table.find_names(["a", name]).tolist() == [1, -1]
    with pytest.raises(ValueError, match=r"device name|surrogates"):
        table.add([name], [2])
