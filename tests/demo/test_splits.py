"""Whole numbers split into parts lose nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.demo.days import BUCKETS, BUCKETS_OF_PERIOD, DAY_S, PERIODS, by_bucket, moments
from gridkeeper.demo.splits import bounded_shares, shares


@given(st.integers(0, 10**12), st.lists(st.floats(0.001, 1000), min_size=1, max_size=40))
def test_shares_add_up_to_the_whole(total: int, weights: list[float]) -> None:
    parts = shares(total, np.array(weights))
    assert parts.sum() == total
    assert (parts >= 0).all()
    exact = total * np.array(weights) / sum(weights)
    assert (abs(parts - exact) < 1.001).all()


@given(st.integers(0, 5000), st.lists(st.floats(0.001, 1000), min_size=1, max_size=40))
def test_bounded_shares_add_up_to_the_whole_within_their_bounds(total: int, weights: list[float]) -> None:
    count = len(weights)
    low, high = np.ones(count, dtype=np.int64), np.full(count, 100, dtype=np.int64)
    parts = bounded_shares(total, np.array(weights), low, high)
    assert parts.sum() == min(max(total, count), 100 * count)
    assert (parts >= 1).all()
    assert (parts <= 100).all()


def test_what_has_no_weight_gets_nothing() -> None:
    assert shares(7, np.array([1.0, 0.0, 1.0])).tolist() in ([4, 0, 3], [3, 0, 4])


@given(st.tuples(*(st.integers(10**6, 10**9) for _ in PERIODS)))
def test_buckets_make_up_their_periods(amounts: tuple[int, ...]) -> None:
    periods = dict(zip(PERIODS, amounts, strict=True))
    buckets = by_bucket(periods)
    for period, names in BUCKETS_OF_PERIOD.items():
        assert sum(buckets[name] for name in names) == periods[period]


def test_buckets_do_not_overlap_and_leave_nothing_out() -> None:
    bounds = list(BUCKETS.values())
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
    for period, names in BUCKETS_OF_PERIOD.items():
        assert (BUCKETS[names[0]][0], BUCKETS[names[-1]][1]) == PERIODS[period]


@pytest.mark.parametrize("length", [3600, DAY_S, 10 * DAY_S])
def test_moments_stay_in_their_interval_and_fill_it(length: int) -> None:
    first = BUCKETS["jan"][0] + 5000
    found = moments(np.linspace(0, 1, 1000, endpoint=False), first, first + length)
    assert (found >= first).all()
    assert (found < first + length).all()
    assert found.max() - found.min() > 0.98 * length
