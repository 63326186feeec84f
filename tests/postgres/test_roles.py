"""Addresses: the same login under another role, and the forms that other libraries take."""

import pytest

from kilowatch.postgres.roles import (
    APP,
    LAKE,
    OWNER,
    as_role,
    libpq_keywords,
    libpq_url,
    sqlalchemy_url,
    with_options,
)

URL = "postgresql://me:p%40ss@db.example:6432/energy?sslmode=require"


def test_a_role_is_taken_on_when_connecting() -> None:
    assert as_role(URL, APP) == URL + "&options=-c%20role%3Dkilowatch_app"
    assert as_role(URL, OWNER) == URL


def test_options_add_up() -> None:
    both = with_options(as_role(URL, LAKE), {"timezone": "UTC"})
    assert both.endswith("options=-c%20role%3Dkilowatch_lake%20-c%20timezone%3DUTC")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_driver_is_named_where_it_must_be(scheme: str) -> None:
    assert sqlalchemy_url(f"{scheme}://db/energy") == "postgresql+psycopg://db/energy"
    assert libpq_url(f"{scheme}://db/energy") == "postgresql://db/energy"


@pytest.mark.parametrize("url", ["mysql://db", "postgresql", ""])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        sqlalchemy_url(url)


def test_keywords_carry_everything() -> None:
    assert libpq_keywords(as_role(URL, LAKE)) == (
        "dbname='energy' host='db.example' port='6432' user='me' password='p@ss' sslmode='require'"
        " options='-c role=kilowatch_lake'"
    )
    local = "postgresql://me:it's@/energy?host=/run/some%20folder"
    assert libpq_keywords(local) == "dbname='energy' host='/run/some folder' user='me' password='it\\'s'"
