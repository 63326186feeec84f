"""The lock-out: guessing stops, and nobody is locked out by somebody else."""

from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.attempts import ACCOUNT_TIMES, ADDRESS_TIMES, WINDOW_S, Attempts
from kilowatch.clock import DrivenClock

NOW_US = 1_790_000_000_000_000
MOST = 3
ACCOUNTS, ADDRESSES = ("ada", "ben", "nobody"), ("192.0.2.1", "192.0.2.2", "2001:db8::")
HOME = "198.51.100.7"

Tries = st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(ADDRESSES)), max_size=120)


def attempts() -> tuple[Attempts, DrivenClock]:
    clock = DrivenClock(NOW_US)
    return Attempts(clock, MOST), clock


@given(tries=Tries)
def test_who_signed_in_from_an_address_is_locked_there_by_their_own_tries_only(
    tries: list[tuple[str, str]],
) -> None:
    counted, _ = attempts()
    counted.note_right("ada", HOME)
    for account, address in tries:
        counted.note_wrong(account, address)
    assert counted.find_stop("ada", HOME) is None
    for _ in range(MOST):
        counted.note_wrong("ada", HOME)
    stop = counted.find_stop("ada", HOME)
    assert stop is not None
    assert not stop.spares_known


@given(tries=Tries, data=st.data())
def test_the_order_of_tries_does_not_matter(tries: list[tuple[str, str]], data: st.DataObject) -> None:
    found = []
    for order in (tries, data.draw(st.permutations(tries))):
        counted, _ = attempts()
        for account, address in order:
            counted.note_wrong(account, address)
        found.append(
            {pair: counted.find_stop(*pair) for pair in [(a, b) for a in ACCOUNTS for b in ADDRESSES]}
        )
    assert found[0] == found[1]


@given(tries=Tries)
def test_a_pair_is_stopped_just_when_one_of_three_counts_is_full(tries: list[tuple[str, str]]) -> None:
    counted, clock = attempts()
    for account, address in tries:
        counted.note_wrong(account, address)
    for account in ACCOUNTS:
        for address in ADDRESSES:
            own = tries.count((account, address)) >= MOST
            shared = (
                sum(of == account for of, _ in tries) >= MOST * ACCOUNT_TIMES
                or sum(of == address for _, of in tries) >= MOST * ADDRESS_TIMES
            )
            stop = counted.find_stop(account, address)
            assert (stop is not None) == (own or shared)
            assert stop is None or stop.spares_known == (not own)
            assert stop is None or 0 < stop.wait_s <= WINDOW_S
    clock.advance(WINDOW_S)
    assert all(counted.find_stop(account, address) is None for account in ACCOUNTS for address in ADDRESSES)


def test_the_right_password_frees_its_own_address_and_no_other() -> None:
    counted, _ = attempts()
    for address in ADDRESSES[:2]:
        for _ in range(MOST):
            counted.note_wrong("ada", address)
    counted.note_right("ada", ADDRESSES[0])
    assert counted.find_stop("ada", ADDRESSES[0]) is None
    assert counted.find_stop("ada", ADDRESSES[1]) is not None
