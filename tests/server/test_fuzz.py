"""Whatever the OpenAPI document allows, and what it does not: no answer is a 500."""

import asyncio
import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok

from kilowatch.server.openapi import write_document
from tests.server.conftest import House, Member

EXAMPLES = 6
MODES = list(schemathesis.GenerationMode)


async def test_no_request_is_answered_with_a_500(house: House, member: Member) -> None:
    document = house.application.app.openapi()
    assert write_document(document)
    headers = member.bearer("admin")
    schema = schemathesis.openapi.from_dict(document)
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path.endswith("/stream"):
            continue
        for mode in MODES:
            check = make_check(operation, mode, house.url, headers)
            with contextlib.suppress(Unsatisfiable):  # a request without parameters cannot be wrong
                await asyncio.to_thread(check)
                asked += 1
    assert asked > 30


def make_check(
    operation: "schemathesis.APIOperation[Any, Any, Any, Any]",
    mode: schemathesis.GenerationMode,
    url: str,
    headers: dict[str, str],
) -> Callable[[], None]:
    """A function that sends requests which fit the operation, or which do not."""
    cases = operation.as_strategy(generation_mode=mode)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def check(case: schemathesis.Case[Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            response = case.call(base_url=url, headers=headers, timeout=30)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        if response.status_code >= 400:
            assert response.headers["content-type"][0] == "application/problem+json", case.as_curl_command()

    return check
