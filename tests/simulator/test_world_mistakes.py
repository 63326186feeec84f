"""Whatever is wrong with the files of a world is told at once, each with its file and line and what to do."""

import json
from pathlib import Path

import pytest

from kilowatch.simulator.world.loading import load_world
from kilowatch.simulator.world.mistake import BadWorld, Mistake
from tests.simulator.small_world import FILES, line_of, spoil, write_world

SPOILED = [
    # file, what stands there, what is written instead, where the mistake is, what is said
    # --- form ---
    ("world.yaml", "title: Bakery\n", "", None, "`title` is missing; add it"),
    ("streams.yaml", "mean: 230", "meen: 230", "meen", "did you mean `mean`?"),
    ("streams.yaml", "mean: 230", "mean: many", "mean: many", "must be a number, not 'many'"),
    ("streams.yaml", "mean: 230", "mean: -3", "mean: -3", "must be above 0, not -3"),
    ("streams.yaml", "mean: 230", "mean: .nan", "mean: .nan", "must be a number"),
    ("streams.yaml", "kind: gauge", "kind: guage", "guage", "must be one of 'count', 'gauge' or 'ratio'"),
    ("scenarios.yaml", "cold_oven:", "Cold oven:", "Cold oven", "must be a word of a-z"),
    ("streams.yaml", "    title: Visits\n", "", "  shop.visit:", "`streams.shop.visit.title` is missing"),
    ("world.yaml", "[0, 0, 0, 0, 1, 3, 6,", "[", "hours", "must have at least 24 entries"),
    ("world.yaml", "11-28", "28.11.", "28.11.", "a month and a day"),
    ("events.yaml", "lasts: 6h", "lasts: six hours", "six hours", "such as 6h"),
    ("events.yaml", "lasts: 6h", "lasts: 0", "lasts: 0", "must be above 0"),
    ("scenarios.yaml", "curve: linear", "curve: wavy", "wavy", "must be one of"),
    ("relationships.yaml", "probability: 0.8,", "probability: 1.8,", "1.8", "must be at most 1, not 1.8"),
    # --- names that lead nowhere ---
    ("world.yaml", "Europe/Berlin", "Europe/Berlim", "Berlim", "no time zone `Europe/Berlim`"),
    ("streams.yaml", "shape: day", "shape: dai", "dai", "no shape `dai`; did you mean `day`?"),
    ("streams.yaml", "advent: 1.5", "yule: 1.5", "yule", "no season `yule`; there are `advent`"),
    ("streams.yaml", "part: shop.sale", "part: shop.sail", "shop.sail", "did you mean `shop.sale`?"),
    ("relationships.yaml", "from: shop.visit", "from: shop.visits", "shop.visits", "no stream `shop.visits`"),
    ("relationships.yaml", "from: oven.heat", "from: oven.hot", "oven.hot", "no stream `oven.hot`"),
    (
        "relationships.yaml",
        "outcome: shop.sale",
        "outcome: oven.heat",
        "outcome: oven",
        "no chain leads from",
    ),
    ("events.yaml", "[shop.visit]", "[shop.visitt]", "visitt", "`shop.visitt` means no stream; did you mean"),
    ("events.yaml", "seasons: [advent]", "seasons: [lent]", "lent", "no season `lent`"),
    ("scenarios.yaml", "[oven.heat]", "[oven.cold.*]", "oven.cold", "`oven.cold.*` means no stream"),
    (
        "scenarios.yaml",
        "after: anger",
        "after: hunger",
        "hunger",
        "no cascade `hunger`; did you mean `anger`?",
    ),
    ("scenarios.yaml", "market_day", "market_night", "market_night", "no template `market_night`"),
    (
        "scenarios.yaml",
        "backlog: { streams: [shop.visit]",
        "backlog: { streams: [shop]",
        "backlog",
        "no stream",
    ),
    ("scenarios.yaml", "region: hall", "region: hull", "hull", "no region `hull`; did you mean `hall`?"),
    # --- what cannot be ---
    ("world.yaml", "11-28", "11-31", "11-31", "there is no day 11-31"),
    ("world.yaml", "name: bakery", "name: butchery", "butchery", "the folder is called `bakery`"),
    ("scenarios.yaml", "value: 0.3", "value: -0.3", "-0.3", "a factor must not be negative"),
    ("scenarios.yaml", "value: 0.3", "value: 3000", "3000", "a factor is at most 1000, not 3000"),
    ("scenarios.yaml", "value: 0.3", "how: add\n        value: 2e10", "2e10", "write at most 1e+09"),
    ("scenarios.yaml", "lasts: 3h", "lasts: 99999999w", "99999999w", "longer than 90 days"),
    ("scenarios.yaml", "at: -1h", "at: -99999999w", "-99999999w", "longer than 90 days"),
    ("scenarios.yaml", "value: 1.1", "value: 1.1, precedence: 20000000", "value: 1.1", "a precedence lies"),
    ("scenarios.yaml", "kind: outage", "kind: late, value: -60", "kind: late", "between 0 and 1e+06"),
    ("scenarios.yaml", "kind: outage", "kind: repeated, value: 2e6", "kind: repeated", "between 0 and 100"),
    ("events.yaml", "lasts: 6h", "lasts: 1e300", "lasts: 1e300", "longer than 90 days"),
    ("relationships.yaml", "to: 1d", "to: 32d", "to: 32d", "longer than 31 days"),
    ("relationships.yaml", "elasticity: 0.5", "elasticity: 0.5\n    delay: 1e12", "1e12", "than 31 days"),
    ("streams.yaml", "mean: 230", "mean: 1e300", "mean: 1e300", "write at most 1e+09"),
    ("world.yaml", "kind: plant", "kind: plant\n  interval: 2d", "interval: 2d", "0.1 s at least and 1 day"),
    ("world.yaml", "time_zone: Europe/Berlin", "time_zone: UTC\ninterval: 0.000001s", "interval", "is 60 s"),
    ("scenarios.yaml", "value: -0.4", "value: -4", "-4", "shifted by -1 to 1, not by -4"),
    ("scenarios.yaml", "[shop.sale]", "[shop.visit]", "[shop.visit]", "is the outcome of no chain"),
    (
        "scenarios.yaml",
        "streams: [shop.sale]",
        'streams: ["shop.*"]',
        "shop.*",
        "`shop.*` means `shop.sale.rate` too, and `shop.sale.rate` is the outcome of no chain",
    ),
    ("relationships.yaml", "probability: 0.01", "probability: 0.3", "outcomes", "sum to 1.1, above 1"),
    ("relationships.yaml", "from: 5m, to: 1d", "from: 5h, to: 1h", "5h", "ends before it begins"),
    ("streams.yaml", "    mean: 800\n", "", "  shop.visit:", "nothing makes `shop.visit`"),
    ("streams.yaml", "title: Sales", "title: Sales\n    mean: 3", "mean: 3", "take away its `mean`"),
    ("streams.yaml", "mean: 230", "mean: 230\n    least: 9\n    most: 5", "least: 9", "exchange them"),
    ("streams.yaml", "    part: shop.sale\n", "", "  shop.sale.rate", "a ratio needs `part`"),
    ("streams.yaml", "part: shop.sale", "part: shop.visit", "whole: shop.visit", "the same stream; name two"),
    ("streams.yaml", "kind: ratio", "kind: ratio\n    mean: 3", "mean: 3", "take away `mean`"),
    ("streams.yaml", "mean: 230", "mean: 230\n    whole: shop.visit", "whole", "only a ratio has `whole`"),
]


def mistakes_in(folder: Path) -> list[Mistake]:
    with pytest.raises(BadWorld) as refused:
        load_world(folder)
    return refused.value.mistakes


def test_the_small_world_is_good(tmp_path: Path) -> None:
    assert list(load_world(write_world(tmp_path)).scenarios) == ["cold_oven"]


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "says"), SPOILED, ids=[f"{c[0]}-{c[2]}" for c in SPOILED]
)
def test_a_mistake_is_told_with_file_and_line(
    tmp_path: Path, file: str, old: str, new: str, at: str | None, says: str
) -> None:
    text = spoil(file, old, new)
    (told,) = mistakes_in(write_world(tmp_path, {file: text}))
    assert (told.file, told.line) == (file, line_of(text, at) if at else 0)
    assert says in told.says


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    changed = {
        "world.yaml": spoil("world.yaml", "Europe/Berlin", "Berlin"),
        "streams.yaml": spoil("streams.yaml", "    title: Visits\n", "").replace(
            "shape: day", "shape: night"
        ),
        "relationships.yaml": spoil("relationships.yaml", "probability: 0.01", "probability: 0.5"),
        "events.yaml": spoil("events.yaml", "title: A market day", "tittle: A market day"),
        "scenarios.yaml": spoil("scenarios.yaml", "value: 0.3", "value: low").replace(
            "[oven.heat]", "[oven]"
        ),
    }
    told = [(one.file, one.says.split(";")[0]) for one in mistakes_in(write_world(tmp_path, changed))]
    assert told == [
        ("events.yaml", "`templates.market_day.title` is missing"),
        ("events.yaml", "`templates.market_day.tittle` is not known here"),
        ("relationships.yaml", "probabilities of outcomes of which one happens sum to 1.3, above 1"),
        ("scenarios.yaml", "`oven` means no stream"),
        ("scenarios.yaml", "`scenarios.cold_oven.effects[0].value` must be a number, not 'low'"),
        ("streams.yaml", "`streams.shop.visit.title` is missing"),
        ("streams.yaml", "there is no shape `night`"),
        ("world.yaml", "there is no time zone `Berlin`"),
    ]


def test_the_refusal_lists_every_mistake(tmp_path: Path) -> None:
    text = spoil("streams.yaml", "mean: 230", "mean: -1").replace("shape: day", "shape: night")
    with pytest.raises(BadWorld) as refused:
        load_world(write_world(tmp_path, {"streams.yaml": text}))
    first, *rest = str(refused.value).splitlines()
    assert first.endswith("has 2 mistakes:")
    assert [line.split(": ")[0].strip() for line in rest] == ["streams.yaml:5", "streams.yaml:9"]


def test_what_is_left_out_because_of_its_form_is_not_missed_elsewhere(tmp_path: Path) -> None:
    streams = spoil("streams.yaml", "    title: Visits\n", "")
    cascade = spoil("scenarios.yaml", "        delay: 30m\n", "")
    told = mistakes_in(write_world(tmp_path, {"streams.yaml": streams, "scenarios.yaml": cascade}))
    assert [one.says.split(";")[0] for one in told] == [
        "`scenarios.cold_oven.cascades[0].delay` is missing",
        "`streams.shop.visit.title` is missing",
    ]


def test_an_outcome_of_a_wrong_form_leaves_its_stream_made(tmp_path: Path) -> None:
    text = spoil("relationships.yaml", "probability: 0.01", "probability: seldom")
    (told,) = mistakes_in(write_world(tmp_path, {"relationships.yaml": text}))
    assert "must be a number, not 'seldom'" in told.says


def test_a_list_is_checked_behind_what_is_wrong_in_it(tmp_path: Path) -> None:
    text = spoil("scenarios.yaml", "value: 0.3", "value: low").replace("[shop.sale]", "[shop.sail]")
    told = mistakes_in(write_world(tmp_path, {"scenarios.yaml": text}))
    assert [one.line for one in told] == [line_of(text, "value: low"), line_of(text, "shop.sail")]


# --- circles ------------------------------------------------------------------------------------------------


def test_cascades_in_a_circle_are_refused(tmp_path: Path) -> None:
    text = spoil("scenarios.yaml", "id: anger\n", "id: anger\n        after: rumours\n")
    (told,) = mistakes_in(write_world(tmp_path, {"scenarios.yaml": text}))
    assert "in a circle" in told.says
    assert told.line in (line_of(text, "after: rumours"), line_of(text, "after: anger"))


def test_a_cascade_that_follows_itself_is_refused(tmp_path: Path) -> None:
    text = spoil("scenarios.yaml", "after: anger", "after: rumours")
    (told,) = mistakes_in(write_world(tmp_path, {"scenarios.yaml": text}))
    assert (told.line, "`rumours` -> `rumours`" in told.says) == (line_of(text, "after: rumours"), True)


def test_two_cascades_of_one_name_are_refused(tmp_path: Path) -> None:
    text = spoil("scenarios.yaml", "        after: anger\n", "").replace("id: rumours", "id: anger")
    (told,) = mistakes_in(write_world(tmp_path, {"scenarios.yaml": text}))
    assert "the name of an earlier cascade" in told.says
    assert told.line == line_of(text, "id: anger\n        delay: 1h")


@pytest.mark.parametrize(
    "influence",
    [
        "{ from: shop.sale, on: shop.visit, elasticity: 1 }",
        "{ from: shop.sale.rate, on: oven.heat, elasticity: 1 }",
        "{ from: shop.complaint, on: shop.visit, outcome: shop.sale, elasticity: 1 }",
        "{ from: shop.sale, on: shop.sale, elasticity: 1 }",
    ],
)
def test_streams_that_follow_from_each_other_are_refused(tmp_path: Path, influence: str) -> None:
    text = FILES["relationships.yaml"] + f"  - {influence}\n"
    told = mistakes_in(write_world(tmp_path, {"relationships.yaml": text}))
    assert all("follow from each other in a circle: `" in one.says for one in told)
    assert told


def test_a_stream_may_bear_on_what_comes_of_it(tmp_path: Path) -> None:
    line = "  - { from: shop.visit, on: shop.visit, outcome: shop.sale, elasticity: -0.2 }\n"
    load_world(write_world(tmp_path, {"relationships.yaml": FILES["relationships.yaml"] + line}))


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("streams: [1, 2\n", 2, "is broken YAML"),
        ("streams:\n\t- x\n", 2, "is broken YAML"),
        ("- a\n- b\n", 1, "holds no members"),
        ("streams:\n  a: &x { title: A }\n  b: *x\n", 2, "write it out"),
        ("streams: &x\n  a: *x\n", 1, "write it out"),
        ("streams:\n  a: !!python/name:os.system x\n", 2, "the tag tag:yaml.org,2002:python/name:os.system"),
        ("streams:\n  ? [a]\n  : 1\n", 2, "where a name belongs"),
        ("streams: " + "[" * 200_000, 1, "more than 50 deep"),
        ("streams:\n  a: " + "- " * 60 + "\n", None, "is broken YAML"),
    ],
)
def test_a_broken_file_is_told_and_the_others_are_checked(
    tmp_path: Path, text: str, line: int | None, says: str
) -> None:
    changed = {"streams.yaml": text, "world.yaml": spoil("world.yaml", "Europe/Berlin", "Berlin")}
    broken, zone = mistakes_in(write_world(tmp_path, changed))
    assert (broken.file, line in (broken.line, None), zone.file) == ("streams.yaml", True, "world.yaml")
    assert says in broken.says


def test_what_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    (folder / "events.yaml").write_bytes(b"templates:\n  caf\xe9: {}\n")
    (told,) = mistakes_in(folder)
    assert (told.file, told.line, told.says) == ("events.yaml", 2, "is not UTF-8; save it as UTF-8")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = write_world(tmp_path, {"scenarios.yaml": None})
    (folder / "scenarios.yaml").mkdir()
    (told,) = mistakes_in(folder)
    assert (told.file, "cannot be read" in told.says) == ("scenarios.yaml", True)
    (folder / "scenarios.yaml").rmdir()
    (folder / "scenarios.yaml").symlink_to("/dev/null")
    (told,) = mistakes_in(folder)
    assert (told.file, "it is no file" in told.says) == ("scenarios.yaml", True)


def test_json_within_json_is_told_however_deep(tmp_path: Path) -> None:
    (told,) = mistakes_in(write_world(tmp_path, {"events.yaml": None, "events.json": '{"a":' * 200_000}))
    assert (told.file, "more than 50 deep" in told.says) == ("events.json", True)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (told,) = mistakes_in(tmp_path / "nowhere")
    assert (told.file, "name a folder" in told.says) == ("nowhere", True)


def test_keys_that_stand_twice_are_told(tmp_path: Path) -> None:
    changed = {
        "streams.yaml": spoil("streams.yaml", "mean: 230", "mean: 230\n    mean: 240"),
        "events.yaml": FILES["events.yaml"] + "chains: []\n",
        "world.yaml": FILES["world.yaml"] + "streams: {}\n",
    }
    told = mistakes_in(write_world(tmp_path, changed))
    assert [str(one) for one in told] == [
        "events.yaml:10: `chains` stands in relationships.yaml as well; keep it in one file",
        "streams.yaml:6: `mean` stands on line 5 already; keep one of them",
        "world.yaml:15: `streams` stands in streams.yaml as well; keep it in one file",
    ]


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "scenarios: {}\n"])
def test_a_world_without_scenarios_is_refused(tmp_path: Path, text: str | None) -> None:
    (told,) = mistakes_in(write_world(tmp_path, {"scenarios.yaml": text}))
    assert told.file == "scenarios.yaml"
    assert "scenarios" in told.says


def test_a_folder_without_its_first_file_is_told_once(tmp_path: Path) -> None:
    (told,) = mistakes_in(write_world(tmp_path, {"world.yaml": None}))
    assert (told.file, told.line, "is missing" in told.says) == ("world.yaml", 0, True)


def test_a_file_of_no_world_is_told(tmp_path: Path) -> None:
    (told,) = mistakes_in(write_world(tmp_path, {"stream.yaml": "streams: {}\n"}))
    assert (told.file, "rename it" in told.says) == ("stream.yaml", True)


def test_a_fault_needs_a_fleet(tmp_path: Path) -> None:
    text = spoil("world.yaml", "fleet:\n  kind: plant\n  regions: [hall]\n", "")
    (told,) = mistakes_in(write_world(tmp_path, {"world.yaml": text}))
    assert (told.file, "add `fleet`" in told.says) == ("scenarios.yaml", True)


# --- JSON ---------------------------------------------------------------------------------------------------


def test_a_file_may_be_json(tmp_path: Path) -> None:
    template = {"title": "\U0001f600 \u00e9", "type": "energy", "description": "x/y\t\\u", "lasts": 1e3}
    text = json.dumps({"templates": {"market_day": template}}, indent="\t").replace("/", "\\/")
    folder = write_world(tmp_path, {"events.yaml": None, "events.json": text})
    read = load_world(folder).templates["market_day"]
    assert (read.title, read.description, read.lasts) == ("\U0001f600 \u00e9", "x/y\t\\u", 1000.0)


def test_mistakes_in_json_have_lines_too(tmp_path: Path) -> None:
    text = '{\n "templates": {\n  "market_day": {\n   "type": "energy"\n  }\n }\n}\n'
    told = mistakes_in(write_world(tmp_path, {"events.yaml": None, "events.json": text}))
    assert {(one.file, one.line) for one in told} == {("events.json", 3)}
    (broken,) = mistakes_in(write_world(tmp_path, {"events.yaml": None, "events.json": '{\n "a": 1,\n}'}))
    assert (broken.line in (2, 3), "is broken JSON" in broken.says) == (True, True)
