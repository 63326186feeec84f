"""Answers that several people want at the same moment, worked out once.

Keeps true: who asks within RECALL_S of somebody else's same question gets that one's answer, waiting for it
where need be, and who asks later gets a new one; memory is bounded by number and size of the answers that are
kept.
"""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import pyarrow as pa

RECALL_S = 0.2
"""People who look at the same page, and the two looks that one chart takes, come closer together than this;
nobody sees that a chart is so much behind."""
MOST_ANSWERS = 256
MOST_BYTES = 1_000_000
"""Larger answers are shared while they are worked out and not kept."""

Answers = dict[Hashable, tuple[float, Future[pa.Table]]]


class Recall:
    """Questions of the last moment with their answers."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._answers: Answers = {}

    def answer(self, question: Hashable, work_out: Callable[[], pa.Table]) -> pa.Table:
        """The answer to a question: one that is being worked out or was just now, or else a new one.

        Raises whatever `work_out` raises, also to those who wait for it.
        """
        with self._lock:
            self._forget()
            found = self._answers.get(question)
            if found is None:
                mine: Future[pa.Table] = Future()
                self._answers[question] = (self._now_s(), mine)
        if found is not None:
            return found[1].result()
        try:
            table = work_out()
        except BaseException as error:
            self._drop(question, mine)
            mine.set_exception(error)
            raise
        if table.nbytes > MOST_BYTES:
            self._drop(question, mine)
        mine.set_result(table)
        return table

    def _forget(self) -> None:
        """Lets go of what is too old, and of the oldest where there is too much. The order is that of age."""
        before = self._now_s() - RECALL_S
        while self._answers:
            question, (asked, _) = next(iter(self._answers.items()))
            if asked >= before and len(self._answers) < MOST_ANSWERS:
                return
            del self._answers[question]

    def _drop(self, question: Hashable, mine: Future[pa.Table]) -> None:
        with self._lock:
            if self._answers.get(question, (0.0, None))[1] is mine:
                del self._answers[question]
