"""Counted chance: the same whoever asks, and spread as it should be."""

from math import exp
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.simulator.engine.chance import even, normal, normal_of, poisson_of

law = settings(max_examples=100, deadline=None)
seeds = st.integers(-(2**63), 2**63)
names = st.text(max_size=20)


@law
@given(
    seed=seeds,
    name=names,
    first=st.integers(-(2**40), 2**40),
    count=st.integers(1, 300),
    at=st.integers(0, 299),
)
def test_a_number_is_the_same_alone_as_among_others(
    seed: int, name: str, first: int, count: int, at: int
) -> None:
    index = first + np.arange(count, dtype=np.int64)
    at %= count
    for of in (even, normal):
        assert of(seed, name, index)[at] == of(seed, name, index[at : at + 1])[0]


def test_chance_is_evenly_spread_and_another_for_each_seed_name_and_index() -> None:
    index = np.arange(200_000, dtype=np.int64)
    one, other, named = even(1, "a", index), even(2, "a", index), even(1, "b", index)
    for chance in (one, other, named):
        assert (np.abs(np.bincount((chance * 20).astype(int), minlength=20) / 10_000 - 1.0) < 0.06).all()
        assert abs(np.corrcoef(chance[1:], chance[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01
    assert abs(np.corrcoef(one, named)[0, 1]) < 0.01


@pytest.mark.parametrize("chance", [1e-12, 1e-6, 0.01, 0.07, 0.3, 0.5, 0.62, 0.93, 0.999, 1 - 1e-9])
def test_normal_numbers_have_their_chance_of_lying_below(chance: float) -> None:
    assert normal_of(np.array([chance]))[0] == pytest.approx(NormalDist().inv_cdf(chance), rel=1e-5, abs=1e-9)


def test_normal_numbers_are_finite_at_the_ends_and_increase() -> None:
    chances = np.concatenate(
        ([0.0], np.sort(even(3, "ends", np.arange(10_000, dtype=np.int64))), [1 - 2.0**-53])
    )
    found = normal_of(chances)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0.0).all()


@law
@given(mean=st.floats(1e-6, 15.9), chance=st.floats(0.0, 1.0 - 1e-9))
def test_few_are_counted_exactly(mean: float, chance: float) -> None:
    found, term, reached = 0, exp(-mean), exp(-mean)
    while chance > reached * (1 + 1e-12) and found < 99:
        found += 1
        term *= mean / found
        reached += term
    assert abs(poisson_of(np.array([chance]), np.array([mean]))[0] - found) <= (abs(reached - chance) < 1e-9)


@pytest.mark.parametrize("mean", [0.2, 3.0, 15.0, 17.0, 60.0, 1000.0, 1e6])
def test_poisson_numbers_have_their_mean_and_variance(mean: float) -> None:
    count = 100_000
    found = poisson_of(even(4, f"{mean}", np.arange(count, dtype=np.int64)), np.full(count, mean))
    assert (found == np.floor(found)).all()
    assert found.mean() == pytest.approx(mean, abs=6 * np.sqrt(mean / count))
    assert found.var() == pytest.approx(mean, rel=0.03)


def test_no_events_come_of_a_level_of_nothing() -> None:
    assert (poisson_of(np.array([0.0, 0.5, 0.999999]), np.zeros(3)) == 0.0).all()
