"""How many messages are settled at once when their readings are late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.period import DAY_US, HOUR_US, QUARTER_US
from kilowatch.wire.frame import Frame
from kilowatch.worker import lateness
from kilowatch.worker.lateness import QUARTERS_AT_ONCE, affordable
from kilowatch.worker.registry import Registry
from tests.worker.house import BASE_US, House
from tests.worker.test_settle import ENERGY, registry
from tests.worker.test_shift import cut, day_of

NOW_US = BASE_US + 30 * DAY_US


def frame_of(known: Registry, late_us: list[int], device: int = 2) -> Frame:
    """Readings of one device's energy so long before the newest one that is stored."""
    count = len(late_us)
    ts_us = np.array([NOW_US - one for one in late_us], np.int64)
    column = {known.slot_of_metric[ENERGY]: np.arange(count, dtype=np.float64)}
    return Frame(np.full(count, device, np.int32), ts_us, np.full(count, 5, np.int32), column)


def newest(known: Registry) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.full(known.highest_series + 1, NOW_US, np.int64)


@given(st.lists(st.integers(-400, 400), min_size=1, max_size=12))
def test_at_least_one_is_settled_and_never_more_than_memory_holds(quarters_late: list[int]) -> None:
    known = registry()
    frames = [frame_of(known, [one * QUARTER_US]) for one in quarters_late]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lateness, "QUARTERS_AT_ONCE", 200)
        count = affordable(frames, known, newest(known))
    each = [min(one, 144) + 1 if one > 0 else 0 for one in quarters_late]
    assert count >= 1
    assert count == 1 or sum(each[:count]) <= 200
    assert count == len(frames) or sum(each[: count + 1]) > 200, "no fewer than can be"


def test_what_comes_in_order_is_settled_together() -> None:
    known = registry()
    frames = [frame_of(known, [-HOUR_US, -2 * HOUR_US]) for _ in range(500)]
    assert affordable(frames, known, newest(known)) == 500
    assert QUARTERS_AT_ONCE > 1_000_000, "a million meters one quarter late are one batch"


async def test_the_books_are_the_same_however_little_is_settled_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lateness, "QUARTERS_AT_ONCE", 1)
    await house.add(["in-order", "backwards"], ["power", "voltage"])
    async with house.working():
        await house.send(day_of("in-order"))
        await house.settled()
        for part in reversed(cut(day_of("backwards"), 30)):
            await house.send(part)
        await house.settled()
    assert house.books("backwards", "power") == house.books("in-order", "power")
    assert house.ledger()["stored"] == 2 * 2 * 300
