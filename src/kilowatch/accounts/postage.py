"""How many letters go to one address, and how many invitations out of one organisation.

Keeps true: nobody fills somebody else's mailbox by asking on their behalf, and whoever does not read that
mail cannot tell that a letter was not sent. In the memory of this process: N processes allow N times as many.
"""

import uuid

from kilowatch.accounts.window import Window
from kilowatch.clock import Clock
from kilowatch.errors import Problem

MOST, PER_S = 5, 15 * 60
"""So many letters of one kind go to one address in such a time."""
NOTICE_PER_S = 60
"""A notice goes out no more often than a code is replaced, so that how long an answer takes tells nothing."""
INVITATIONS_MOST, INVITATIONS_PER_S = 50, 3600
NOTICE = "notice"
"""The kind of a letter without a code."""


class Postage:
    """Counts letters before they are written."""

    def __init__(self, clock: Clock) -> None:
        self._letters = Window(clock, MOST, PER_S)
        self._notices = Window(clock, 1, NOTICE_PER_S)
        self._invitations = Window(clock, INVITATIONS_MOST, INVITATIONS_PER_S)

    def take(self, kind: str, address: str) -> bool:
        """Whether one more letter of this kind may go to the address; it is counted then."""
        if kind == NOTICE and not self._notices.look(address).left:
            return False
        passed = self._letters.take((kind, address)).passed
        if passed and kind == NOTICE:
            self._notices.count(address)
        return passed

    def give_back(self, kind: str, address: str) -> None:
        """The letter that was counted last could not be sent."""
        self._letters.give_back((kind, address))
        if kind == NOTICE:
            self._notices.give_back(address)

    def take_invitation(self, organisation_id: uuid.UUID) -> None:
        """Counts an invitation out of an organisation.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        standing = self._invitations.take(organisation_id)
        if not standing.passed:
            raise Problem(
                429,
                "too_many_requests",
                f"At most {INVITATIONS_MOST} invitations an hour go out of an organisation; wait.",
                retry_after_s=standing.wait_s,
            )

    def give_back_invitation(self, organisation_id: uuid.UUID) -> None:
        """The invitation that was counted last could not be sent."""
        self._invitations.give_back(organisation_id)
