"""Questions asked together are worked out once, and no answer is given that is older than it may be."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.lake.recall import MOST_ANSWERS, MOST_BYTES, RECALL_S, Recall
from tests.conftest import wait_until


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def table_of(number: int) -> pa.Table:
    return pa.table({"n": [number]})


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 2 * RECALL_S)), max_size=30))
def test_an_answer_is_never_older_than_it_may_be(asked: list[tuple[int, float]]) -> None:
    watch = Watch()
    recall = Recall(watch)
    worked_out: dict[int, float] = {}
    for question, pause_s in asked:
        watch.now_s += pause_s

        def work_out(question: int = question) -> pa.Table:
            worked_out[question] = watch.now_s
            return table_of(round(watch.now_s * 1e6))

        told = recall.answer(question, work_out)["n"][0].as_py()
        assert told == round(worked_out[question] * 1e6)
        assert watch.now_s - worked_out[question] <= RECALL_S + 1e-9


def test_who_asks_meanwhile_waits_for_the_same_answer() -> None:
    recall, may_end = Recall(), threading.Event()
    begun: list[int] = []

    def work_out() -> pa.Table:
        begun.append(1)
        assert may_end.wait(10)
        return table_of(len(begun))

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(recall.answer, "q", work_out) for _ in range(8)]
        wait_until(lambda: bool(begun), 10, "the first")
        assert recall.answer("other", lambda: table_of(7))["n"].to_pylist() == [7], "others need not wait"
        may_end.set()
        assert [answer.result()["n"].to_pylist() for answer in answers] == [[1]] * 8
    assert begun == [1]


def test_a_failure_is_told_and_not_kept() -> None:
    recall = Recall()

    def fail() -> pa.Table:
        raise LookupError("away")

    with pytest.raises(LookupError):
        recall.answer("q", fail)
    assert recall.answer("q", lambda: table_of(1))["n"].to_pylist() == [1]


def test_what_is_large_or_much_is_not_kept() -> None:
    recall = Recall(Watch())
    large = pa.table({"n": list(range(MOST_BYTES // 8 + 1))})
    recall.answer("large", lambda: large)
    assert recall.answer("large", lambda: table_of(1))["n"].to_pylist() == [1]
    for number in range(2 * MOST_ANSWERS):
        recall.answer(number, lambda number=number: table_of(number))  # type: ignore[misc]
    assert len(recall._answers) <= MOST_ANSWERS
    assert recall.answer(0, lambda: table_of(99))["n"].to_pylist() == [99]
