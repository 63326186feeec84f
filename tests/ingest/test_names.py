"""The name table finds every name it holds and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
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


def test_a_table_that_grows_while_others_ask_never_gives_a_wrong_number() -> None:
    """Threads ask for names that are there, names that come meanwhile and names that never come."""
    there = [f"meter-{number:06}" for number in range(40_000)]
    coming = [f"plug-{number:06}" for number in range(40_000)]
    never = [f"none-{number:06}" for number in range(10_000)]
    table = NameTable(there, range(len(there)))
    words = words_of_names([*there, *coming, *never])
    done = threading.Event()

    def ask() -> int:
        rounds, seen = 0, 0
        while not done.is_set() or not rounds:
            found = table.find(words)
            assert np.array_equal(found[: len(there)], np.arange(len(there)))
            fresh = found[len(there) : -len(never)]
            came = fresh >= 0
            assert np.array_equal(fresh[came], np.flatnonzero(came) + len(there))
            assert came.sum() >= seen
            seen = int(came.sum())
            assert (found[-len(never) :] == -1).all()
            rounds += 1
        return rounds

    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask) for _ in range(2)]
        try:
            for first in range(0, len(coming), 100):
                part = coming[first : first + 100]
                table.add(part, range(len(there) + first, len(there) + first + len(part)))
        finally:
            done.set()
        assert all(one.result() for one in asking)
    assert table.find_names(coming).tolist() == list(range(len(there), len(there) + len(coming)))
