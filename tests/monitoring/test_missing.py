"""What is missing: by weekdays, by the payloads that go on; falls behind them; and intervals that hold what they promise."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.monitoring.falls import find_fall, lately_lost
from gridkeeper.monitoring.missing import (
    Missing,
    mean_core_hours,
    missing_by_payloads,
    missing_by_weekday,
)
from tests.monitoring.invented import HOUR_S, day

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

STOPPED, ASKED = 56, 70


def days(amounts: Mapping[int, float]) -> dict[date, int]:
    """Core seconds of hours, by the number of the day."""
    return {day(number): round(hours * HOUR_S) for number, hours in sorted(amounts.items()) if hours}


def test_a_source_that_is_even_misses_as_much_every_day() -> None:
    found = missing_by_weekday(days(dict.fromkeys(range(STOPPED), 100)), day(ASKED))
    assert found == Missing(1400, 1330, 1470, 14)


def test_weekdays_are_told_apart() -> None:
    busy = days({number: 100 if number % 7 < 5 else 10 for number in range(STOPPED)})
    weekend, week = missing_by_weekday(busy, day(STOPPED + 1)), missing_by_weekday(busy, day(STOPPED + 5))
    assert weekend is not None
    assert week is not None
    assert week.core_hours == pytest.approx(5 * weekend.core_hours, rel=1e-6)
    assert week.core_hours / 5 > 85, "half of the way from the mean, 74, to 100"


def test_days_of_announced_downtime_are_not_missing() -> None:
    away = {day(number) for number in range(STOPPED, STOPPED + 4)}
    found = missing_by_weekday(days(dict.fromkeys(range(STOPPED), 100)), day(ASKED), away)
    assert found is not None
    assert (found.days, found.core_hours) == (10, 1000)


def test_the_last_day_may_not_have_been_whole_and_is_not_learnt_from() -> None:
    cut = {**dict.fromkeys(range(STOPPED), 100), STOPPED: 3}
    found = missing_by_weekday(days(cut), day(STOPPED + 2))
    assert found is not None
    assert found.core_hours == pytest.approx(100)
    assert mean_core_hours(days(cut)) == 100


def test_too_little_is_known_of_a_source_of_three_days() -> None:
    assert missing_by_weekday(days({0: 5, 1: 5, 2: 5}), day(9)) is None
    assert missing_by_weekday({}, day(9)) is None
    assert mean_core_hours({}) is None


def test_missing_hours_come_from_the_payloads_where_they_go_on() -> None:
    batch = days(dict.fromkeys(range(STOPPED), 100))
    inside = days({number: 50 if number < STOPPED else 25 for number in range(ASKED)})
    found = missing_by_payloads(batch, inside, day(ASKED))
    assert found is not None
    assert found.from_payloads
    assert found.core_hours == pytest.approx(14 * 50), "half as many payloads, half as many hours"


def test_payloads_that_stop_too_or_were_never_there_tell_nothing() -> None:
    batch = days(dict.fromkeys(range(STOPPED), 100))
    assert missing_by_payloads(batch, days(dict.fromkeys(range(STOPPED + 3), 50)), day(ASKED)) is None
    assert missing_by_payloads(batch, days(dict.fromkeys(range(STOPPED, ASKED), 50)), day(ASKED)) is None


@pytest.mark.parametrize("silent", [3, 7, 14])
def test_four_of_five_intervals_hold_the_truth(silent: int) -> None:
    dice = random.Random(silent)
    inside = 0
    for _ in range(300):
        level = dice.uniform(50, 500)
        hours = {number: level * (1 + dice.gauss(0, 0.2)) for number in range(STOPPED + silent)}
        found = missing_by_weekday(
            days({number: hours[number] for number in range(STOPPED)}), day(STOPPED + silent)
        )
        assert found is not None
        inside += found.low <= sum(hours[number] for number in range(STOPPED, STOPPED + silent)) <= found.high
    assert 0.72 <= inside / 300 <= 0.97


def test_intervals_are_wider_where_the_level_drifts() -> None:
    even = days({number: 100 + 10 * (number % 3) for number in range(STOPPED)})
    drifting = days({number: 100 + 10 * (number % 3) + 60 * (number // 14 % 2) for number in range(STOPPED)})
    narrow, wide = (missing_by_weekday(each, day(ASKED)) for each in (even, drifting))
    assert narrow is not None
    assert wide is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


@settings(deadline=None, max_examples=60)
@given(
    amounts=st.lists(st.integers(0, 10_000), min_size=5, max_size=60),
    silent=st.integers(1, 40),
    factor=st.integers(2, 50),
)
def test_what_is_missing_is_never_negative_and_grows_as_the_source_does(
    amounts: list[int], silent: int, factor: int
) -> None:
    known = {day(number): seconds for number, seconds in enumerate([1, *amounts, 1])}
    until = day(len(amounts) + 2 + silent)
    found = missing_by_weekday(known, until)
    larger = missing_by_weekday({each: factor * seconds for each, seconds in known.items()}, until)
    assert found is not None
    assert larger is not None
    assert 0 <= found.low <= found.core_hours <= found.high
    assert larger.core_hours == pytest.approx(factor * found.core_hours)
    assert larger.high == pytest.approx(factor * found.high)


def noisy(
    seed: int, lost: float, since: int, until: int, noise: float = 0.05
) -> tuple[dict[date, int], dict[date, int]]:
    """Batch and payload core seconds that go up and down together, a part of the batch lost from one day on."""
    dice = random.Random(seed)
    level, batch, inside = 100.0, {}, {}
    for number in range(until):
        level *= 1 + dice.gauss(0, 0.1)
        inside[number] = level * (1 + dice.gauss(0, noise))
        batch[number] = 1.3 * level * (1 + dice.gauss(0, noise)) * (1 - lost if number >= since else 1)
    return days(batch), days(inside)


@pytest.mark.parametrize("seed", range(8))
def test_the_loss_of_one_of_four_clusters_is_found_within_fifteen_days(seed: int) -> None:
    batch, inside = noisy(seed, 0.25, since=60, until=75)
    fall = find_fall(batch, inside, day(19), day(75))
    assert fall is not None
    assert abs((fall.first_day - day(60)).days) <= 2
    assert fall.share == pytest.approx(0.25, abs=0.08)
    assert fall.missing.low > 0


@pytest.mark.parametrize("seed", range(8))
def test_batch_and_payloads_that_fall_together_are_no_fall(seed: int) -> None:
    batch, inside = noisy(seed, 0.0, since=60, until=67)
    for each in (batch, inside):
        each.update({day(number): each[day(number)] // 3 for number in range(55, 67)})
    assert find_fall(batch, inside, day(11), day(67)) is None


def test_a_fall_needs_a_past_and_a_regular_one() -> None:
    batch, inside = noisy(1, 0.5, since=20, until=27)
    assert find_fall(batch, inside, day(0), day(27)) is None
    batch, inside = noisy(1, 0.5, since=60, until=67)
    seldom = {each: seconds for each, seconds in batch.items() if each.weekday() < 3}
    assert find_fall(seldom, inside, day(11), day(67)) is None


def test_what_was_lost_lately_is_seen_and_what_grew_is_not() -> None:
    even = dict.fromkeys(range(STOPPED), 100.0)
    less = even | dict.fromkeys(range(STOPPED - 3, STOPPED), 75.0)
    more = even | dict.fromkeys(range(40, STOPPED), 300.0)
    assert [lately_lost(days(each), day(STOPPED)) for each in (even, less, more)] == [0, 25, 0]
