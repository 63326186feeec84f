"""Wrong passwords and codes, counted so that guessing stops and nobody is locked out by somebody else.

Keeps true: where an account was signed in to before, only wrong tries from that very address stop further
ones. Addresses that nobody has are counted like all others, so a refusal tells nothing. In the memory of this
process: N processes allow N times as many tries, and a restart forgets them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from kilowatch.accounts.window import SIZE, Standing, Window
from kilowatch.clock import Clock
from kilowatch.errors import Problem

WINDOW_S = 15 * 60
ADDRESS_TIMES, ACCOUNT_TIMES = 10, 5
"""An address may try so many times as often over all accounts, and an account be tried so many times as
often from all addresses, as one account from one address."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No further try now: after `wait_s` perhaps. `spares_known`: it does not concern an address from which
    the account was signed in to before."""

    wait_s: int
    spares_known: bool

    def as_problem(self) -> Problem:
        """What is told."""
        return Problem(
            429,
            "too_many_attempts",
            "Too many wrong attempts; wait, or go on where you have signed in before.",
            retry_after_s=self.wait_s,
        )


class Attempts:
    """Counts wrong tries. `most`: of an account from one address in `WINDOW_S`."""

    def __init__(self, clock: Clock, most: int = 10) -> None:
        self._pairs = Window(clock, most, WINDOW_S)
        self._addresses = Window(clock, most * ADDRESS_TIMES, WINDOW_S)
        self._accounts = Window(clock, most * ACCOUNT_TIMES, WINDOW_S)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def find_stop(self, account: str, address: str) -> Stop | None:
        """What stands against a try from this address on this account, if anything."""
        own = self._pairs.look((account, address))
        if not own.left:
            return Stop(own.wait_s, spares_known=False)
        if (account, address) in self._known:
            return None
        waits = [one.wait_s for one in self._shared(account, address) if not one.left]
        return Stop(max(waits), spares_known=True) if waits else None

    def note_wrong(self, account: str, address: str) -> None:
        """A try was wrong."""
        self._pairs.count((account, address))
        self._addresses.count(address)
        self._accounts.count(account)

    def note_right(self, account: str, address: str) -> None:
        """Somebody showed from this address that the account is theirs."""
        self._pairs.forget((account, address))
        self.know(account, address)

    def know(self, account: str, address: str) -> None:
        """The account was signed in to from this address before."""
        self._known[account, address] = None
        self._known.move_to_end((account, address))
        while len(self._known) > SIZE:
            self._known.popitem(last=False)

    def _shared(self, account: str, address: str) -> tuple[Standing, Standing]:
        return self._addresses.look(address), self._accounts.look(account)
