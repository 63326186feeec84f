"""The OpenAPI document: what FastAPI derives from the routes, made to say what really happens.

Adds the right that each operation needs, the doors that another application answers, how callers identify
themselves, and the problem document that every refusal is. Keeps true that the committed
`docs/reference/openapi.json` is this document, and that a right in it is the one that the guard asks for.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from kilowatch.accounts.rights import Right
from kilowatch.server.problems import PROBLEM_TYPE
from kilowatch.wire.address import API

WAYS_IN = ("signup", "verify", "login", "refresh", "logout", "forgot-password", "reset-password")
OPEN_PATHS = (
    *("/healthz", "/readyz", "/metrics", "/ping", "/health", f"{API}/session"),
    *(f"{API}/auth/{way}" for way in WAYS_IN),
)
"""Paths that need no credentials."""

FAULT = {
    "type": "object",
    "required": ["code", "detail"],
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "pointer": {"type": "string", "description": "Where in the request."},
        "index": {"type": "integer", "description": "Which reading or topic, from 0."},
    },
}
PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable; programs may rely on it."},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
REFUSAL = {
    "description": "A refusal.",
    "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
SECURITY = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "session": {"type": "apiKey", "in": "cookie", "name": "kilowatch_session"},
}


def describe(app: FastAPI, doors: Mapping[str, Any]) -> None:
    """Makes `app.openapi()` the document, which FastAPI serves."""

    def describe_app() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            app.openapi_schema = _complete(document, doors, find_rights(app))
        return app.openapi_schema

    app.openapi = describe_app  # type: ignore[method-assign]


def find_rights(app: FastAPI) -> dict[str, Right]:
    """Operation -> the right of `rights.py` that its route's guard asks for."""
    found: dict[str, Right] = {}
    for route in app.routes:
        if isinstance(route, APIRoute) and (right := _right_of(route.dependant)) is not None:
            found[route.operation_id or route.unique_id] = right
    return found


def _right_of(dependant: Dependant) -> Right | None:
    """The outermost guard's; one that is made of another may ask for more than that one does."""
    right: Right | None = getattr(dependant.call, "right", None)
    inner = (_right_of(one) for one in dependant.dependencies)
    return right or next((one for one in inner if one is not None), None)


def write_document(document: Mapping[str, Any]) -> str:
    """The document as it is committed: the same text for the same document."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _complete(
    document: dict[str, Any], doors: Mapping[str, Any], rights: Mapping[str, Right]
) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas.update(Problem=PROBLEM, Fault=FAULT)
    components["securitySchemes"] = SECURITY
    for path, operations in copy.deepcopy(dict(doors)).items():
        document["paths"].setdefault(path, {}).update(operations)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            responses = operation.setdefault("responses", {})
            responses.pop("422", None)
            responses["default"] = REFUSAL
            right = rights.get(operation.get("operationId", ""))
            if right is not None:
                operation["x-right"] = f"{right.resource}:{right.verb}"
            if path not in OPEN_PATHS:
                operation["security"] = [{"key": []}, {"session": []}]
    return document
