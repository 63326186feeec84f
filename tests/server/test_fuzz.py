"""Whatever the OpenAPI document allows, and what it does not: no answer is a 500, and every answer is one
that the document describes. Asked by an API key that may do everything, and by a person who has signed in."""

import asyncio
import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kilowatch.server.app import Parts
from kilowatch.server.openapi import write_document
from tests.server.conftest import House, Member
from tests.server.test_people import Somebody

EXAMPLES = 6
MODES = list(schemathesis.GenerationMode)
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(params=["key", "person"])
async def headers(
    request: pytest.FixtureRequest, http: httpx.AsyncClient, parts: Parts, member: Member
) -> dict[str, str]:
    """The credentials that everything is asked with."""
    if request.param == "key":
        return member.bearer("admin")
    assert parts.page is not None
    person = Somebody(http, parts.page / "mail")
    await person.sign_up()
    return person.bearer()


# The server draws from `random` in the meantime, which Hypothesis takes for a strategy's doing.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.usefixtures("worlds")
async def test_every_answer_is_one_of_the_document(house: House, headers: dict[str, str]) -> None:
    document = house.application.app.openapi()
    assert write_document(document)
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
        case.validate_response(response, checks=CHECKS)

    return check
