"""The published JSON Schema takes what the simulator takes, and refuses what it refuses."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kilowatch.simulator.world.format import Fleet, World
from kilowatch.simulator.world.loading import find_worlds, shipped
from kilowatch.simulator.world.pages import Reader, build, read_pages
from kilowatch.simulator.world.schema import write_schema
from tests.simulator.small_world import FILES

SCHEMA: dict[str, Any] = json.loads(write_schema())
WHOLE = jsonschema_rs.Draft202012Validator(SCHEMA)
FILE = jsonschema_rs.Draft202012Validator({"$ref": "#/$defs/File", "$defs": SCHEMA["$defs"]})
FLEET = jsonschema_rs.Draft202012Validator({"$ref": "#/$defs/Fleet", "$defs": SCHEMA["$defs"]})
WORLDS = find_worlds([shipped()])


def small_world() -> dict[str, Any]:
    return {name: value for text in FILES.values() for name, value in read(text).items()}


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = build(Reader(text).get_single_node())
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_the_schema_takes_every_shipped_world_and_each_of_its_files(name: str) -> None:
    WHOLE.validate(read_pages(WORLDS[name]).data())
    for path in WORLDS[name].iterdir():
        FILE.validate(read(path.read_text(encoding="utf-8")))


def test_a_world_in_one_piece_needs_its_members_and_a_file_does_not() -> None:
    assert not WHOLE.is_valid({"name": "bakery"})
    assert FILE.is_valid({"name": "bakery"})
    assert not FILE.is_valid({"nam": "bakery"})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("streams", "Oven heat"), {"title": "x"}),
        (("streams", "oven.heat", "mean"), 0),
        (("streams", "oven.heat", "kind"), "guage"),
        (("streams", "oven.heat", "colour"), "red"),
        (("streams",), {}),
        (("scenarios", "cold_oven", "lasts"), 0),
        (("scenarios", "cold_oven", "lasts"), "0h"),
        (("scenarios", "cold_oven", "lasts"), "-1h"),
        (("scenarios", "cold_oven", "lasts"), "soon"),
        (("scenarios", "cold_oven", "events", 0, "at"), "soon"),
        (("scenarios", "cold_oven", "effects", 0, "streams"), []),
        (("scenarios", "cold_oven", "effects", 0, "streams", 0), "*.heat"),
        (("shapes", "day", "hours"), [1] * 23),
        (("seasons", "advent", 0, "from"), "13-01"),
        (("chains", 0, "outcomes", 0, "probability"), 1.01),
    ],
)
def test_the_schema_refuses_what_the_format_refuses(place: tuple[str | int, ...], value: object) -> None:
    world = small_world()
    assert WHOLE.is_valid(world)
    part: Any = world
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    assert not WHOLE.is_valid(world)
    with pytest.raises(ValidationError):
        World.model_validate(world, strict=True)


spans: st.SearchStrategy[object] = st.one_of(
    st.integers(-10, 10),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"-?[0-9.]{0,4} ?[smhdwx]?", fullmatch=True),
    st.sampled_from([None, True, [], "1h ", " 0.5d", "00.00w"]),
)


@settings(max_examples=60, deadline=None)
@given(span=spans)
def test_schema_and_format_agree_on_spans(span: object) -> None:
    fleet = {"kind": "home", "interval": span}
    try:
        Fleet.model_validate(fleet, strict=True)
    except ValidationError:
        assert not FLEET.is_valid(fleet)
    else:
        assert FLEET.is_valid(fleet)


def test_the_committed_schema_is_named_like_its_page() -> None:
    committed = Path(__file__).parents[2] / "docs" / "reference" / "world.schema.json"
    assert json.loads(committed.read_text(encoding="utf-8"))["$id"] == SCHEMA["$id"]
