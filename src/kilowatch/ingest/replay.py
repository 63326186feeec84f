"""Sending a refused reading once more.

Keeps true that a letter counts as replayed only when its reading is in the log; and that whoever may throw
letters away, or send readings, may replay them, people from this instance's own pages, too.
"""

from collections.abc import Callable

from starlette.requests import HTTPConnection

from kilowatch.accounts.identity import Authenticator, Caller, require_right, require_scope
from kilowatch.errors import Problem
from kilowatch.ingest.accept import Terms
from kilowatch.ingest.answer import Answer, accepted_answer, nothing_accepted
from kilowatch.ingest.body import Receive
from kilowatch.ingest.dead import close_letter, decode_letter, open_letter, read_letter_id
from kilowatch.ingest.intake import Intake
from kilowatch.ingest.request import Request, on_conflict

LETTERS, REPLAY = "/api/v1/dead-letters/", "/replay"

FindHeader = Callable[[HTTPConnection], str | None]
"""What a request shows as its `Authorization`."""


def shown_header(connection: HTTPConnection) -> str | None:
    """The header alone."""
    return connection.headers.get("authorization")


def is_replay(path: str) -> bool:
    """Whether this is the address of a replay."""
    return path.startswith(LETTERS) and path.endswith(REPLAY)


class Replayer:
    """Replays letters. `find_header` says what stands for a browser's credentials."""

    def __init__(self, intake: Intake, authenticator: Authenticator, find_header: FindHeader) -> None:
        self._intake = intake
        self._authenticator = authenticator
        self._find_header = find_header

    async def replay(self, connection: HTTPConnection, request: Request, _receive: Receive) -> Answer:
        """Sends the reading of a dead letter once more."""
        caller = await self._find_caller(connection)
        self._intake.pressure.check()
        terms: Terms = ("replay", on_conflict(request.query))
        letter_id = read_letter_id(request.path[len(LETTERS) : -len(REPLAY)])
        letter = await open_letter(self._intake.database, caller, letter_id)
        known = await self._intake.get_known(caller.organisation_id)
        batch = decode_letter(letter, self._intake.limits(), known)
        taken = await self._intake.take_batch(caller, batch, known, terms, keep=False)
        if not taken.accepted:
            raise nothing_accepted(taken.rejects)
        await close_letter(self._intake.database, caller, letter_id)
        return accepted_answer(taken.accepted, taken.rejects)

    async def _find_caller(self, connection: HTTPConnection) -> Caller:
        """Whoever asks, if they may: people by their role, keys that may send or administer, no device.

        Raises:
            Problem: 401, 403.
        """
        header = self._find_header(connection)
        caller = await self._authenticator.authenticate(header, connection.headers.get("x-organisation"))
        if caller.device is not None:
            raise Problem(403, "scope_missing", "A device's token replays no dead letters.")
        if caller.role is not None:
            require_right(caller, "dead_letters", "delete")
        elif "admin" not in caller.scopes:
            require_scope(caller, "ingest")
        return caller
