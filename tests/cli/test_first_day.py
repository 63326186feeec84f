"""The first day of somebody new, on a whole instance: from the sign-up to the guest who is shown the door."""

import json
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.cli.conftest import Instance, run_kw
from tests.conftest import wait_until

PASSWORD = "a kettle on the veranda"
WITHIN_S = 60.0


class Newcomer:
    """Somebody with a browser and a mailbox."""

    def __init__(self, instance: Instance, email: str) -> None:
        self.instance, self.email = instance, email
        self.port = instance.run_file()["port"]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", timeout=30)

    def newest_letter(self) -> str:
        """What `kw mail` shows."""
        shown = run_kw("mail", "--data", str(self.instance.data), "--json")
        assert shown.returncode == 0, shown.stderr
        letter = json.loads(shown.stdout)[-1]
        assert self.email in letter["to"]
        return str(letter["text"])

    def sign_up_and_in(self) -> None:
        account = {"email": self.email, "password": PASSWORD}
        assert self.http.post("/auth/signup", json=account | {"name": "New"}).status_code == 202
        code = re.search(r"\b\d{6}\b", self.newest_letter())
        assert code is not None
        verified = self.http.post("/auth/verify", json={"email": self.email, "code": code[0]})
        assert verified.status_code == 200, verified.text
        answer = self.http.post("/auth/login", json=account)
        assert answer.status_code == 200, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @contextmanager
    def listen(self, site_id: str) -> Iterator[ClientConnection]:
        """A live stream of a site in the organisation that is chosen."""
        chosen = {
            name: self.http.headers[name]
            for name in ("Authorization", "X-Organisation")
            if name in self.http.headers
        }
        with connect(f"ws://127.0.0.1:{self.port}/api/v1/live", additional_headers=chosen) as socket:
            socket.send(json.dumps({"type": "subscribe", "topics": [f"sites.{site_id}"]}))
            yield socket


def hear_reading(socket: ClientConnection) -> dict[str, Any]:
    """The next reading."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        told = json.loads(socket.recv(deadline - time.monotonic()))
        for message in told.get("messages", []):
            if message["type"] == "reading":
                return dict(message)


@pytest.fixture
def newcomers(running: Instance) -> Iterator[tuple[Newcomer, Newcomer]]:
    pair = Newcomer(running, "owner@example.org"), Newcomer(running, "guest@example.org")
    yield pair
    for one in pair:
        one.http.close()


def test_a_newcomer_makes_a_home_watches_it_and_shows_a_guest_in_and_out(
    newcomers: tuple[Newcomer, Newcomer],
) -> None:
    owner, guest = newcomers
    owner.sign_up_and_in()
    guest.sign_up_and_in()
    site_id = owner.http.post("/sites/demo", json={"time_zone": "Europe/Berlin"}).json()["id"]
    with owner.listen(site_id) as watching:
        assert hear_reading(watching)["topic"] == f"sites.{site_id}"
    (organisation,) = owner.http.get("/me").json()["organisations"]
    at_owners = {"X-Organisation": organisation["slug"]}
    assert guest.http.get("/devices", headers=at_owners).status_code in (403, 404)
    members = f"/organisations/{organisation['id']}/members"
    invited = owner.http.post(members, json={"email": guest.email, "role": "viewer"})
    assert invited.status_code in (201, 202), invited.text
    assert organisation["name"] in guest.newest_letter()
    (invitation,) = guest.http.get("/invitations").json()["items"]
    accepted = guest.http.post(f"/invitations/{invitation['id']}/accept")
    assert accepted.status_code in (200, 201), accepted.text
    guest.http.headers.update(at_owners)
    wait_until(lambda: guest.http.get("/devices").status_code == 200, WITHIN_S, "the guest to be let in")
    assert len(guest.http.get("/devices").json()["items"]) == 5
    assert guest.http.post("/devices/demo-fridge/toggle").status_code == 403
    guest_id = guest.http.get("/me").json()["id"]
    with guest.listen(site_id) as watching:
        assert hear_reading(watching)["topic"] == f"sites.{site_id}"
        removed = owner.http.delete(f"{members}/{guest_id}")
        assert removed.status_code == 204, removed.text
        with pytest.raises(ConnectionClosedError):
            deque(watching, maxlen=0)
        assert watching.close_code == 4401
    assert guest.http.get("/devices").status_code in (403, 404)
    del guest.http.headers["X-Organisation"]
    assert guest.http.get("/me").status_code == 200, "what is the guest's own stays theirs"
    told = [line["action"] for line in owner.http.get("/audit-log").json()["items"]]
    assert "member.removed" in told
