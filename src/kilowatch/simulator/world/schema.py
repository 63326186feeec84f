"""The published JSON Schema of worlds, made from their format.

Keeps true: what the schema takes has the form that `load_world` asks for, and the other way round.
"""

import json
from typing import Any, Final

from kilowatch.simulator.world.format import World

SCHEMA_ID: Final = "urn:kilowatch:schema:world"


def write_schema() -> str:
    """The schema as it is committed. The document as a whole describes a world in one piece, `$defs/File` one
    file of it."""
    schema = World.model_json_schema()
    parts = schema.pop("$defs")
    whole = _closed(schema)
    file = {name: value for name, value in whole.items() if name != "required"}
    file |= {"title": "File", "description": "One file of the folder of a world: some members of the world."}
    parts = {name: _closed(part) for name, part in parts.items()} | {"File": file}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID}
    return json.dumps({**head, **whole, "$defs": parts}, indent=2, ensure_ascii=False) + "\n"


def _closed(part: Any) -> Any:
    """The part without titles that only repeat its name, and without names that are not of the right form."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(value) for name, value in part.items() if name != "title" or not _is_title(value)}
    if "patternProperties" in closed:
        closed["additionalProperties"] = False
    return closed


def _is_title(value: Any) -> bool:
    """A title of the schema, rather than the schema of a member called `title`."""
    return isinstance(value, str)
