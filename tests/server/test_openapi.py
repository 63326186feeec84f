"""The committed OpenAPI document is the one that the server serves, doors included."""

from pathlib import Path

import msgspec

from kilowatch.ingest.documented import PATHS
from kilowatch.server.app import build_document

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"

CONTRACT = {
    "post /api/v1/readings",
    "post /api/v1/dead-letters/{letter_id}/replay",
    "get /api/v1/dead-letters",
    "delete /api/v1/dead-letters/{letter_id}",
    "post /api/v2/write",
    "post /write",
    "get /ping",
    "get /health",
    "get /api/v1/devices/{device_id}/readings",
    "get /api/v1/readings/latest",
    "get /api/v1/sites/{site_id}/energy",
    "get /api/v1/stream",
    "get /api/v1/sites",
    "get /api/v1/devices",
    "get /api/v1/api-keys",
    "get /healthz",
    "get /readyz",
    "get /metrics",
}


def test_the_committed_document_is_fresh() -> None:
    assert COMMITTED.read_text() == build_document(PATHS), (
        "write it anew: kw openapi > docs/reference/openapi.json"
    )


def test_the_document_has_every_endpoint_of_the_contract_and_one_error_shape() -> None:
    document = msgspec.json.decode(build_document(PATHS))
    operations = {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations.keys() >= CONTRACT
    names = [operation["operationId"] for operation in operations.values()]
    assert len(set(names)) == len(names)
    for operation in operations.values():
        problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}
        assert "422" not in operation["responses"]
