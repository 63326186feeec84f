"""An alert's life: the table, and what holds for any sequence of acts."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.alerts.lifecycle import LIVING, STATUSES, STEPS, Act, Status, step
from kilowatch.errors import Problem

ACTS: tuple[Act, ...] = get_args(Act)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("act", ACTS)
def test_each_act_has_its_step_or_a_clear_refusal(status: Status, act: Act) -> None:
    if (status, act) in STEPS:
        assert step(status, act) == STEPS[status, act]
    else:
        with pytest.raises(Problem) as refused:
            step(status, act)
        assert (refused.value.status, refused.value.code) == (409, f"alert_{status}")


@pytest.mark.parametrize(
    ("acts", "status"),
    [
        (["acknowledge", "clear"], "resolved"),
        (["suppress", "raise", "lift"], "open"),
        (["acknowledge", "suppress", "lift"], "open"),
        (["suppress", "clear", "lift"], "resolved"),
        (["acknowledge", "acknowledge"], "acknowledged"),
        (["raise", "raise"], "open"),
    ],
)
def test_what_people_expect(acts: list[Act], status: Status) -> None:
    reached: Status = "open"
    for act in acts:
        reached = step(reached, act)
    assert reached == status


@given(st.lists(st.sampled_from(ACTS)))
def test_a_cleared_condition_ends_the_alert_whatever_went_before(acts: list[Act]) -> None:
    status: Status = "open"
    for act in acts:
        before = status
        try:
            status = step(status, act)
        except Problem:
            assert status == before
        assert not (before == "resolved" and status in LIVING)
    assert step(status, "clear") == "resolved"
