"""How many letters go out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.postage import (
    INVITATIONS_MOST,
    INVITATIONS_PER_S,
    MOST,
    NOTICE,
    NOTICE_PER_S,
    PER_S,
    Postage,
)
from kilowatch.clock import DrivenClock
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from tests.accounts.test_window import NOW_US

kinds = st.sampled_from(("verify", "reset", NOTICE))
asked = st.tuples(kinds, st.sampled_from(("ada@example.org", "ben@example.org")), st.integers(0, 400))


@given(st.lists(asked, max_size=60))
def test_no_address_gets_more_of_a_kind_and_no_other_waits_for_it(asking: list[tuple[str, str, int]]) -> None:
    clock = DrivenClock(NOW_US)
    postage = Postage(clock)
    sent: dict[tuple[str, str], list[int]] = {}
    now_s = 0
    for kind, address, later_s in asking:
        clock.advance(later_s)
        now_s += later_s
        times = sent.setdefault((kind, address), [])
        lately = [one for one in times if now_s - one < PER_S]
        waits = kind == NOTICE and bool(times) and now_s - times[-1] < NOTICE_PER_S
        assert postage.take(kind, address) == (len(lately) < MOST and not waits)
        if len(lately) < MOST and not waits:
            times.append(now_s)


@given(kinds)
def test_a_letter_that_could_not_be_sent_does_not_count(kind: str) -> None:
    postage = Postage(DrivenClock(NOW_US))
    for _ in range(3 * MOST):
        assert postage.take(kind, "ada@example.org")
        postage.give_back(kind, "ada@example.org")


def test_an_organisation_sends_so_many_invitations_an_hour() -> None:
    clock = DrivenClock(NOW_US)
    postage, works, mill = Postage(clock), new_id(), new_id()
    for _ in range(INVITATIONS_MOST):
        postage.take_invitation(works)
    with pytest.raises(Problem) as refused:
        postage.take_invitation(works)
    assert (refused.value.status, refused.value.retry_after_s) == (429, INVITATIONS_PER_S)
    postage.take_invitation(mill)
    postage.give_back_invitation(works)
    postage.take_invitation(works)
    clock.advance(INVITATIONS_PER_S)
    postage.take_invitation(works)
