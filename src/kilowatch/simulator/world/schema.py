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
    world = World.model_json_schema()
    parts = {name: _closed(part) for name, part in world["$defs"].items()}
    parts["File"] = {
        "description": "One file of the folder of a world: some members of the world.",
        "type": "object",
        "properties": _closed(world["properties"]),
        "additionalProperties": False,
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "description": "A world for the simulator, its files put together.",
        "$ref": "#/$defs/File",
        "required": world["required"],
        "$defs": parts,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _closed(part: Any) -> Any:
    """The part without titles that only repeat its name, and without names that are not of the right form."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(value) for name, value in part.items() if not _is_title(name, value)}
    if isinstance(text := closed.get("description"), str):
        closed["description"] = " ".join(text.split())
    if "patternProperties" in closed:
        closed["additionalProperties"] = False
    return closed


def _is_title(name: str, value: Any) -> bool:
    """A title of the schema, rather than the schema of a member called `title`."""
    return name == "title" and isinstance(value, str)
