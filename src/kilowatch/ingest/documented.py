"""The doors as the OpenAPI document describes them, because no framework that would derive it stands there.

Keeps true what the contract says of sending readings: forms, answers and their codes. Pure data.
"""

from typing import Any, Final

READING: Final = {
    "type": "object",
    "required": ["metrics"],
    "properties": {
        "device": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
        "ts": {
            "description": "RFC 3339, or milliseconds since 1970; without it the server's time.",
            "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}, {"type": "null"}],
        },
        "metrics": {
            "type": "object",
            "additionalProperties": {
                "description": "A finite number, a boolean, or a state by its name.",
                "oneOf": [{"type": "number"}, {"type": "boolean"}, {"type": "string"}],
            },
        },
    },
    "example": {
        "device": "D1",
        "ts": "2026-11-20T12:00:00Z",
        "metrics": {"power": 195.9, "voltage": 230.5},
    },
}
ACCEPTED: Final = {
    "type": "object",
    "required": ["accepted", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "description": "Readings that are in the log, on disk."},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "code", "detail"],
                "properties": {
                    "index": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
TEXT: Final = {"schema": {"type": "string"}}
ON_CONFLICT: Final = {
    "name": "on_conflict",
    "in": "query",
    "description": "What happens to a different value for a moment that is stored already.",
    "schema": {"type": "string", "enum": ["reject", "replace"], "default": "reject"},
}
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes a request that is sent again harmless.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
TAKEN: Final = {
    "202": {
        "description": "The accepted readings are in the log, on disk.",
        "content": {"application/json": {"schema": ACCEPTED}},
    }
}
PRECISION: Final = {
    "name": "precision",
    "in": "query",
    "schema": {"type": "string", "enum": ["ns", "us", "ms", "s"], "default": "ns"},
}


def _influx_write(name: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["sending"],
        "summary": "Sends readings as InfluxDB line protocol.",
        "description": "The tag device (or device_id, host) is the device, fields are metrics.",
        "parameters": [PRECISION, ON_CONFLICT, IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {"text/plain": TEXT}},
        "responses": {"204": {"description": "Everything is in the log, on disk."}},
    }


PATHS: Final[dict[str, dict[str, Any]]] = {
    "/api/v1/readings": {
        "post": {
            "operationId": "send_readings",
            "tags": ["sending"],
            "summary": "Sends readings.",
            "description": "One bad reading never rejects its neighbours. Body up to 32 MiB, gzip or zstd.",
            "parameters": [ON_CONFLICT, IDEMPOTENCY_KEY],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"oneOf": [READING, {"type": "array", "items": READING}]}},
                    "application/x-ndjson": TEXT,
                    "application/vnd.apache.arrow.stream": BINARY,
                },
            },
            "responses": TAKEN,
        }
    },
    "/api/v1/dead-letters/{letter_id}/replay": {
        "post": {
            "operationId": "replay_dead_letter",
            "tags": ["dead letters"],
            "summary": "Sends a refused reading once more.",
            "parameters": [
                {
                    "name": "letter_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "format": "uuid"},
                },
                ON_CONFLICT,
            ],
            "responses": TAKEN,
        }
    },
    "/api/v2/write": {"post": _influx_write("write_influx_v2")},
    "/write": {"post": _influx_write("write_influx_v1")},
    "/ping": {
        "get": {
            "operationId": "ping_influx",
            "tags": ["health"],
            "summary": "Answers as an Influx client expects.",
            "responses": {"204": {"description": "Here."}},
        }
    },
    "/health": {
        "get": {
            "operationId": "get_influx_health",
            "tags": ["health"],
            "summary": "Says to an Influx client whether readings are taken.",
            "responses": {"200": {"description": "They are."}, "503": {"description": "Not now."}},
        }
    },
}
