"""Moving windows: never more than allowed in any span, and every key by itself."""

from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.window import Window
from kilowatch.clock import MICROSECONDS, DrivenClock

NOW_US = 1_790_000_000_000_000

Steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=80)


@given(steps=Steps, most=st.integers(1, 5))
def test_no_span_of_a_minute_lets_more_pass_than_allowed(steps: list[tuple[str, int]], most: int) -> None:
    clock = DrivenClock(NOW_US)
    window = Window(clock, most, 60)
    passed: dict[str, list[int]] = {}
    for key, wait_s in steps:
        clock.advance(wait_s)
        standing = window.take(key)
        now_us = clock.now_us()
        lately = [at for at in passed.get(key, []) if now_us - at < 60 * MICROSECONDS]
        assert standing.passed == (len(lately) < most)
        if standing.passed:
            passed.setdefault(key, []).append(now_us)
            lately.append(now_us)
        assert standing.left == most - len(lately)
        assert (standing.wait_s > 0) == (standing.left == 0)


@given(steps=Steps, most=st.integers(1, 5))
def test_who_waits_as_told_gets_a_place(steps: list[tuple[str, int]], most: int) -> None:
    clock = DrivenClock(NOW_US)
    window = Window(clock, most, 60)
    for key, wait_s in steps:
        clock.advance(wait_s)
        standing = window.take(key)
        if not standing.passed:
            clock.advance(standing.wait_s)
            assert window.take(key).passed


def test_only_the_newest_keys_are_kept() -> None:
    window = Window(DrivenClock(NOW_US), 1, 60, size=2)
    for key in "abc":
        assert window.take(key).passed
    assert not window.look("c").left
    assert window.look("a").left == 1


def test_none_is_any_number() -> None:
    window = Window(DrivenClock(NOW_US), 0, 60)
    assert all(window.take("a").passed for _ in range(50))
