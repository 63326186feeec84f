"""A command's life: the table, and what holds for any sequence of acts."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.control.lifecycle import ENDS, STATUSES, STEPS, Act, Status, step
from kilowatch.errors import Problem

ACTS: tuple[Act, ...] = get_args(Act)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("act", ACTS)
def test_each_act_has_its_step_or_changes_nothing_or_is_refused(status: Status, act: Act) -> None:
    if (status, act) in STEPS:
        assert step(status, act) == STEPS[status, act]
    elif status in ENDS and act != "cancel":
        assert step(status, act) == status
    else:
        with pytest.raises(Problem) as refused:
            step(status, act)
        assert refused.value.status == 409


@given(st.lists(st.sampled_from(ACTS)))
def test_an_end_is_an_end_and_nothing_goes_back_to_the_queue(acts: list[Act]) -> None:
    status: Status = "queued"
    ended: Status | None = None
    for act in acts:
        before = status
        try:
            status = step(status, act)
        except Problem:
            assert status == before
        assert status != "queued" or before == "queued"
        if ended is not None:
            assert status == ended
        if status in ENDS:
            ended = status


def test_a_command_that_has_begun_is_not_cancelled() -> None:
    with pytest.raises(Problem) as refused:
        step(step("queued", "deliver"), "cancel")
    assert refused.value.code == "command_begun"
