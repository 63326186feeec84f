"""Escalation, storm guard, breaker, back-off and letters: tables and laws of the pure parts."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import MICROSECONDS
from kilowatch.notifications.backoff import TRIES_MOST, next_try_us
from kilowatch.notifications.breaker import FAILURES_MOST, PAUSE_MOST_S, PAUSE_S, Breaker
from kilowatch.notifications.escalation import MINUTE_US, Step, plan
from kilowatch.notifications.letter import LINES_MOST, Content, write_letter
from kilowatch.notifications.severity import SEVERITIES, Severity
from kilowatch.notifications.storm import Flow, Guard

HOUR_US = 3600 * MICROSECONDS


def test_eight_tries_in_about_six_hours() -> None:
    now_us, tries = 0, 1
    while (following := next_try_us(tries, now_us)) is not None:
        assert following > now_us
        now_us, tries = following, tries + 1
    assert tries == TRIES_MOST == 8
    assert 5.5 * HOUR_US < now_us < 6.5 * HOUR_US


def test_steps_come_in_the_order_of_their_times() -> None:
    anna, sms = uuid.uuid4(), uuid.uuid4()
    steps = [
        Step(30, user_id=anna, repeat_minutes=20, repeats=2),
        Step(10, channel_id=sms),
    ]
    planned = plan(steps, 5)
    assert [(one.number, (one.due_us - 5) // MINUTE_US) for one in planned] == [
        (1, 10),
        (2, 30),
        (3, 50),
        (4, 70),
    ]
    assert [one.step.channel_id for one in planned] == [sms, None, None, None]
    assert plan([], 5) == []


@given(
    st.lists(st.floats(0, 60 * 60), min_size=1, max_size=300),
    st.integers(1, 20),
    st.integers(1, 30),
)
@settings(max_examples=100, deadline=None)
def test_no_span_has_more_than_the_guard_allows(seconds: list[float], most: int, minutes: int) -> None:
    guard = Guard(most, minutes)
    singles: list[int] = []
    summaries: set[int] = set()
    given_at: list[int] = []
    summary_us: int | None = None
    for now_us in sorted(round(second * MICROSECONDS) for second in seconds):
        flow = Flow(sum(at > now_us - guard.span_us for at in given_at), summary_us)
        held = flow.hold(guard, now_us)
        given_at.append(now_us)
        if held is None:
            singles.append(now_us)
        else:
            assert now_us < held <= now_us + guard.span_us
            summaries.add(held)
            summary_us = held
    for end in singles:
        assert sum(end - guard.span_us < at <= end for at in singles) <= most
    for end in summaries:
        assert sum(end - guard.span_us < at <= end for at in summaries) <= 2
    if len(given_at) <= most:
        assert not summaries


@given(st.lists(st.tuples(st.integers(1, 600), st.booleans()), max_size=60))
@settings(max_examples=100)
def test_a_failing_service_is_asked_once_a_pause(tries: list[tuple[int, bool]]) -> None:
    breaker, now_us, failed = Breaker(), 0, 0
    for seconds, ok in tries:
        now_us += seconds * MICROSECONDS
        if not breaker.allows(now_us):
            assert failed >= FAILURES_MOST
            continue
        before = breaker.state(now_us)
        breaker = breaker.after(ok, now_us)
        failed = 0 if ok else failed + 1
        assert breaker.state(now_us) == ("open" if failed >= FAILURES_MOST else "closed")
        if before == "half_open" and not ok:
            assert breaker.until_us is not None
            assert breaker.until_us - now_us >= PAUSE_S * MICROSECONDS
        if breaker.until_us is not None:
            assert breaker.until_us - now_us <= PAUSE_MOST_S * MICROSECONDS


def test_a_breaker_opens_half_opens_and_closes() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_MOST):
        assert breaker.state(0) == "closed"
        breaker = breaker.after(False, 0)
    assert breaker.state(PAUSE_S * MICROSECONDS - 1) == "open"
    assert breaker.state(PAUSE_S * MICROSECONDS) == "half_open"
    assert breaker.after(False, PAUSE_S * MICROSECONDS).state(2 * PAUSE_S * MICROSECONDS) == "open"
    assert breaker.after(True, PAUSE_S * MICROSECONDS) == Breaker()


def content(severity: Severity, number: int = 0, step: int = 0) -> Content:
    return Content(severity, f"Kettle {number}\nis on", "2 kW while off.", "Pull the plug.", number, step)


@pytest.mark.parametrize(
    ("step", "title"), [(0, "Kettle 0 is on"), (2, "Not acknowledged yet: Kettle 0 is on")]
)
def test_one_says_what_happened_and_what_to_do(step: int, title: str) -> None:
    letter = write_letter([content("high", step=step)], None)
    assert letter.title == title
    assert "2 kW while off." in letter.body
    assert "Pull the plug." in letter.body


@given(st.lists(st.sampled_from(SEVERITIES), min_size=2, max_size=60))
@settings(max_examples=50)
def test_a_summary_counts_all_and_names_the_newest(severities: list[Severity]) -> None:
    letter = write_letter([content(one, number) for number, one in enumerate(severities)], "storm")
    assert f"{len(severities)} alerts" in letter.title
    assert letter.severity == max(severities, key=SEVERITIES.index)
    lines = letter.body.splitlines()
    assert f"Kettle {len(severities) - 1}" in lines[0]
    assert len(lines) == min(len(severities), LINES_MOST + 1)
