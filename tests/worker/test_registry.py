"""The worker's registry: in so many turns every device is learnt anew, each in one of them."""

import uuid

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.worker.registry import DeviceFact, Registry, SeriesFacts

SITE = uuid.uuid4()


@given(st.sets(st.integers(1, 500), min_size=1), st.integers(1, 12))
def test_in_all_turns_every_device_is_forgotten_once(devices: set[int], turns: int) -> None:
    registry = Registry()
    facts = [
        DeviceFact(number, SITE, f"D{number}", "UTC", 0, None, None, None, None, None, 0)
        for number in devices
    ]
    numbers = np.array(sorted(devices), np.int32)
    forgotten: list[int] = []
    for turn in range(turns):
        registry.learn(facts, SeriesFacts.none())
        assert not len(registry.unknown(numbers))
        registry.forget(turn, turns)
        forgotten += registry.unknown(numbers).tolist()
    assert sorted(forgotten) == sorted(devices)
