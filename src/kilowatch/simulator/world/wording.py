"""What a refusal of the format says to the person who wrote the world.

Keeps true: every sentence names the member and says what to write instead.
"""

from functools import lru_cache
from typing import Any, Final

from pydantic_core import ErrorDetails

from kilowatch.simulator.world.format import MONTH_DAY, NAME, PATTERN, WORD, World
from kilowatch.simulator.world.mistake import Place, name_place, suggest

PATTERNS: Final = {
    NAME: "words of a-z, 0-9 and _ with dots between them, beginning with a letter",
    WORD: "a word of a-z, 0-9, _ and -, beginning with a letter",
    PATTERN: "the name of a stream, or the beginning of names and a `*` at its end",
    MONTH_DAY: "a month and a day, such as 05-01",
}
SENTENCES: Final = {
    "greater_than": "must be above {gt:g}, not {input}",
    "greater_than_equal": "must be at least {ge:g}, not {input}",
    "less_than": "must be below {lt:g}, not {input}",
    "less_than_equal": "must be at most {le:g}, not {input}",
    "literal_error": "must be one of {expected}, not {input}",
    "float_type": "must be a number, not {input}",
    "finite_number": "must be a number that is not infinite",
    "int_type": "must be a whole number, not {input}",
    "bool_type": "must be true or false, not {input}",
    "string_type": "must be text; put {input} in quotes",
    "string_too_long": "must have at most {max_length} characters",
    "dict_type": "must have members of its own, in lines `name: value` below it",
    "list_type": "must be a list, in lines that begin with `- ` or in brackets",
    "model_type": "must have members of its own, in lines `name: value` below it",
    "value_error": "must be right: {error}",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
}


def word(error: ErrorDetails) -> tuple[Place, str]:
    """Where the mistake stands, and what it is."""
    place: Place = tuple(step for step in error["loc"] if step != "[key]")
    kind, context = error["type"], {"input": _show(error["input"]), **error.get("ctx", {})}
    if kind == "missing":
        return place, f"`{name_place(place)}` is missing; add it"
    if kind == "extra_forbidden":
        advice = suggest(str(place[-1]), members_of(place[:-1]))
        return place, f"`{name_place(place)}` is not known here; {advice}"
    if kind == "too_short":
        return place, _few(place, context)
    if kind == "string_pattern_mismatch":
        wanted = PATTERNS.get(context["pattern"], f"text of the form {context['pattern']}")
        return place, f"`{name_place(place)}` must be {wanted}, not {context['input']}"
    sentence = SENTENCES.get(kind)
    says = sentence.format(**context) if sentence else f"must be right: {error['msg']}"
    return place, f"`{name_place(place)}` {says}"


def _few(place: Place, context: dict[str, Any]) -> str:
    if context["actual_length"] == 0:
        return f"there are no {place[-1]}; write at least {context['min_length']}"
    return f"`{name_place(place)}` must have at least {context['min_length']} entries"


def _show(given: Any) -> str:
    match given:
        case dict():
            return "something with members"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return str(given).lower()
    return repr(given)


def members_of(place: Place) -> frozenset[str]:
    """The members that a part at this place may have."""
    schema = _schema()
    part = schema
    for step in place:
        part = _resolve(part, schema)
        if isinstance(step, int):
            part = part.get("items", {})
        else:
            named = part.get("properties", {}).get(step)
            part = named or next(iter(part.get("patternProperties", {}).values()), {})
    return frozenset(_resolve(part, schema).get("properties", {}))


@lru_cache(1)
def _schema() -> dict[str, Any]:
    return World.model_json_schema()


def _resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference, or one beside null, stands for."""
    for one in part.get("anyOf", [part]):
        if "$ref" in one:
            named: dict[str, Any] = schema["$defs"][one["$ref"].rsplit("/", 1)[-1]]
            return named
    return part
