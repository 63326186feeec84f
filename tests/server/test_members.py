"""The law of membership: whatever people do to each other, an organisation that had an admin has one, every
answer is what the roles say, and nobody but members sees what is in it."""

from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.accounts.rights import ROLES, Role, may_appoint
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import create_organisation_with_home
from tests.server.conftest import House
from tests.server.persons import Person, join, make_person

PEOPLE = 3
Deed = tuple[str, int, int, Role]
deeds = st.tuples(
    st.sampled_from(("invite", "accept", "decline", "appoint", "remove")),
    st.integers(0, PEOPLE - 1),
    st.integers(0, PEOPLE - 1),
    st.sampled_from(ROLES),
)


pytestmark = pytest.mark.usefixtures("tokens")


@dataclass
class Model:
    """Who is what, and who is invited to be what, by whom."""

    roles: dict[int, Role] = field(default_factory=lambda: {0: "admin"})
    invited: dict[int, Role] = field(default_factory=dict)
    makers: dict[int, int] = field(default_factory=dict)

    def expect(self, deed: Deed) -> int:
        """The status that a deed gets; it is done to the model when that is a success."""
        kind, by, whom, role = deed
        return int(getattr(self, f"_{kind}")(by, whom, role))

    def _invite(self, by: int, whom: int, role: Role) -> int:
        if by not in self.roles:
            return 404
        if not may_appoint(self.roles[by], role):
            return 403
        if whom in self.roles:
            return 409
        if whom in self.invited and not may_appoint(self.roles[by], self.invited[whom]):
            return 403
        self.invited[whom], self.makers[whom] = role, by
        return 201

    def _accept(self, by: int, _: int, __: Role) -> int:
        if by not in self.invited:
            return 404
        self.roles[by] = self.invited.pop(by)
        return 200

    def _decline(self, by: int, _: int, __: Role) -> int:
        return 404 if self.invited.pop(by, None) is None else 204

    def _appoint(self, by: int, whom: int, role: Role) -> int:
        refusal = self._refusal(by, whom)
        if refusal in (403, 404):
            return refusal
        if not may_appoint(self.roles[by], role):
            return 403
        if role != self.roles[whom] and refusal:
            return refusal
        self.roles[whom] = role
        self._withdraw(whom)
        return 200

    def _remove(self, by: int, whom: int, _: Role) -> int:
        refusal = self._refusal(by, whom, leaving=by == whom)
        if refusal == 0:
            del self.roles[whom]
            self._withdraw(whom)
        return refusal or 204

    def _withdraw(self, maker: int) -> None:
        """What somebody may not offer any more is there no more."""
        own = self.roles.get(maker)
        for whom, role in list(self.invited.items()):
            if self.makers[whom] == maker and (own is None or not may_appoint(own, role)):
                del self.invited[whom]

    def _refusal(self, by: int, whom: int, leaving: bool = False) -> int:
        if by not in self.roles:
            return 404
        if not leaving and self.roles[by] not in ("admin", "operator"):
            return 403
        if whom not in self.roles:
            return 404
        if not leaving and not may_appoint(self.roles[by], self.roles[whom]):
            return 403
        admins = [one for one, role in self.roles.items() if role == "admin"]
        return 409 if admins == [whom] else 0


async def do(http: httpx.AsyncClient, people: list[Person], organisation: str, deed: Deed) -> int:
    """The deed over HTTP; its status."""
    kind, by, whom, role = deed
    me, other = people[by], people[whom]
    path = f"/api/v1/organisations/{organisation}/members"
    if kind == "invite":
        wanted = {"email": other.email, "role": role}
        return (await http.post(path, json=wanted, headers=me.headers)).status_code
    if kind == "appoint":
        to = f"{path}/{other.user_id}"
        return (await http.patch(to, json={"role": role}, headers=me.headers)).status_code
    if kind == "remove":
        return (await http.delete(f"{path}/{other.user_id}", headers=me.headers)).status_code
    offered = (await http.get("/api/v1/invitations", headers=me.headers)).json()["items"]
    own = [one["id"] for one in offered if one["organisation_id"] == organisation]
    invitation = own[0] if own else str(new_id())
    if kind == "accept":
        to = f"/api/v1/invitations/{invitation}/accept"
        return (await http.post(to, headers=me.headers)).status_code
    return (await http.delete(f"/api/v1/invitations/{invitation}", headers=me.headers)).status_code


async def assert_stands(http: httpx.AsyncClient, people: list[Person], place: str, model: Model) -> None:
    """What everybody sees is what the model says."""
    assert "admin" in model.roles.values()
    for number, person in enumerate(people):
        role = model.roles.get(number)
        shown = await http.get(f"/api/v1/organisations/{place}", headers=person.headers)
        assert shown.status_code == (404 if role is None else 200)
        sites = await http.get("/api/v1/sites", headers=person.at(place))
        assert sites.status_code == (403 if role is None else 200)
        if role is not None:
            # A customer has nothing until it is assigned.
            assert len(sites.json()["items"]) == (0 if role == "customer" else 1)
        mine = (await http.get("/api/v1/organisations", headers=person.headers)).json()["items"]
        assert [one["role"] for one in mine if one["id"] == place] == ([] if role is None else [role])


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(doing=st.lists(deeds, max_size=6))
async def test_whatever_people_do_there_is_an_admin_and_only_members_see(
    house: House, database: Database, people: list[Person], doing: list[Deed]
) -> None:
    place, model = new_id(), Model()
    async with database.scope(place) as connection:
        await create_organisation_with_home(connection, place, f"org-{place.hex[:12]}", "Works")
    await join(database, place, people[0], "admin")
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        house.application.parts.authenticator.invalidate()  # type: ignore[union-attr]
        for deed in doing:
            expected = model.expect(deed)
            assert await do(http, people, str(place), deed) == expected, deed
        await assert_stands(http, people, str(place), model)


@pytest.fixture
async def people(house: House, database: Database) -> list[Person]:
    """Some who may be anything."""
    return [await make_person(database) for _ in range(PEOPLE)]
