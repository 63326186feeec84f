"""Laws of reading worlds: whatever files hold, they are read or refused in words, and circles are found."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.simulator.world.circle import find_circles
from kilowatch.simulator.world.loading import load_world
from kilowatch.simulator.world.mistake import BadWorld, Mistake
from kilowatch.simulator.world.pages import Reader, build
from tests.simulator.small_world import FILES, write_world

DATA: dict[str, Any] = {file: build(Reader(text).get_single_node()) for file, text in FILES.items()}
unhurried = settings(deadline=None, max_examples=200)
INVENTED = re.compile(r"\bx[0-9]+\b")
"""Names that stand in for what is missing; nobody wrote them, so nobody is told of them."""
Way = tuple[str | int, ...]
Spoil = tuple[Way, object, bool]


def ways(part: Any, way: Way = ()) -> Iterator[Way]:
    """The ways to all parts within a part."""
    members = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, value in members:
        yield (*way, step)
        yield from ways(value, (*way, step))


PLACES = list(ways(DATA))
odd_values = st.sampled_from([None, True, -1, 0, 1e9, "", "x", "1h", [], [1], ["x"], {}, {"x": 1}])
spoils = st.lists(st.tuples(st.sampled_from(PLACES), odd_values, st.booleans()), min_size=1, max_size=4)


def spoiled(spoiling: list[Spoil]) -> dict[str, Any]:
    """The data of the small world, some parts of it replaced or taken away."""
    data: dict[str, Any] = json.loads(json.dumps(DATA))
    for way, value, is_gone in spoiling:
        holder: Any = data
        for step in way[:-1]:
            holder = inner(holder, step)
        put(holder, way[-1], json.loads(json.dumps(value)), is_gone)
    return data


def inner(holder: Any, step: str | int) -> Any:
    """What a part holds there; nothing where it is not what it was any more."""
    if isinstance(holder, dict):
        return holder.get(step)
    return holder[step] if isinstance(holder, list) and isinstance(step, int) and step < len(holder) else None


def put(holder: Any, step: str | int, value: object, is_gone: bool) -> None:
    if isinstance(holder, dict) and isinstance(step, str):
        holder.pop(step, None) if is_gone else holder.update({step: value})
    elif isinstance(holder, list) and isinstance(step, int) and step < len(holder):
        holder[step] = value


def refusal(texts: dict[str, str]) -> list[Mistake]:
    """What is said of a world with these files; nothing of a good one."""
    with TemporaryDirectory() as folder:
        try:
            load_world(write_world(Path(folder), {file: texts.get(file) for file in FILES}))
        except BadWorld as bad:
            return bad.mistakes
    return []


@unhurried
@given(spoiling=spoils)
def test_a_world_is_read_or_refused_with_mistakes_on_lines_that_there_are(spoiling: list[Spoil]) -> None:
    texts = {file: json.dumps(part, indent=1) for file, part in spoiled(spoiling).items()}
    for one in refusal(texts):
        assert one.line <= texts.get(one.file, "").count("\n") + 1
        assert one.says
        assert not INVENTED.search(one.says)


@given(edges=st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_circles_are_real_and_without_them_everything_has_an_order(edges: dict[str, set[str]]) -> None:
    left = {name: set(sources) for name, sources in edges.items()}
    for circle in find_circles(edges):
        assert circle[0] == circle[-1]
        for of, on in pairwise(circle):
            assert of in edges[on]
        left[circle[1]].discard(circle[0])
    assert list(find_circles(left)) == []


@unhurried
@given(text=st.text(st.sampled_from("ab:-[]{}&*!?|>'\"%@#,\n\t 1.\x00\u00e9\u2028"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    told = refusal({**FILES, "events.yaml": text})
    assert all(
        one.line <= text.count("\n") + text.count("\u2028") + 2 for one in told if one.file == "events.yaml"
    )
