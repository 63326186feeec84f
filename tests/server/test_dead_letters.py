"""Dead letters as operators handle them: counted, discarded many at once, and on record."""

import httpx

from kilowatch.accounts.store.audit import list_audit_log
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from tests.server.conftest import Member
from tests.server.test_api import make_letter

PATH = "/api/v1/dead-letters"


def discarded() -> float:
    return float(metrics.DEAD_LETTERS_HANDLED.labels("discarded")._value.get())


async def test_letters_are_counted_and_discarded_as_they_are_named(
    http: httpx.AsyncClient, member: Member, stranger: Member, database: Database
) -> None:
    for _ in range(3):
        await make_letter(database, member)
    kept_by_other = await make_letter(database, stranger)
    summary = (await http.get(f"{PATH}/summary", headers=member.bearer())).json()
    assert (summary["waiting"], summary["replayed"]) == (3, 0)
    assert [(one["door"], one["code"], one["waiting"]) for one in summary["items"]] == [
        ("http", "too_old", 3)
    ]
    before = discarded()
    admin = member.bearer("admin")
    for wanted, count in (
        ({"replayed": True}, 0),
        ({"code": "too_old", "most": 2}, 2),
        ({"device": "D1"}, 1),
    ):
        answer = await http.post(f"{PATH}/discard", json=wanted, headers=admin)
        assert (answer.status_code, answer.json()) == (200, {"discarded": count})
    assert discarded() == before + 3
    assert (await http.get(f"{PATH}/summary", headers=member.bearer())).json()["items"] == []
    assert (await http.get(f"{PATH}/{kept_by_other}", headers=stranger.bearer())).status_code == 200
    async with database.scope(member.organisation.id) as connection:
        lines = (await list_audit_log(connection, action="dead_letters.discarded")).items
    assert sorted(line.detail["discarded"] for line in lines) == [1, 2]


async def test_nothing_is_discarded_that_is_not_named(http: httpx.AsyncClient, member: Member) -> None:
    refused = await http.post(f"{PATH}/discard", json={}, headers=member.bearer("admin"))
    assert (refused.status_code, refused.json()["code"]) == (422, "nothing_named")
    for wanted in ({"code": "a b"}, {"most": 0, "code": "x"}, {"codes": "x"}):
        refused = await http.post(f"{PATH}/discard", json=wanted, headers=member.bearer("admin"))
        assert refused.status_code == 422
    lesser = await http.post(f"{PATH}/discard", json={"code": "x"}, headers=member.bearer())
    assert lesser.status_code == 403
