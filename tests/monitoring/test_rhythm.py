"""A source's rhythm: what is regular is left alone, what stops is called silent, and stays so."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.monitoring.chances import gamma_tail, quantile, shape_of
from gridkeeper.monitoring.rhythm import REGULAR_DAYS, Rhythm, learn
from tests.monitoring.invented import day


def rhythm(numbers: list[int]) -> Rhythm:
    found = learn([day(number) for number in numbers])
    assert found is not None
    return found


def first_overdue(found: Rhythm, most: int = 500) -> int:
    """After how many whole days without records the source is overdue."""
    for silent in range(most):
        if found.is_overdue(found.last_day + timedelta(days=silent + 1)):
            return silent
    raise AssertionError("it is never overdue")


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 3.0, 20.0])
def test_the_gamma_tail_is_that_of_the_exponential_and_of_the_error_function(ratio: float) -> None:
    assert gamma_tail(1, ratio) == pytest.approx(math.exp(-ratio), abs=1e-14)
    assert gamma_tail(0.5, ratio) == pytest.approx(math.erfc(math.sqrt(0.5 * ratio)), abs=1e-14)
    assert gamma_tail(2, ratio) == pytest.approx(math.exp(-2 * ratio) * (1 + 2 * ratio), abs=1e-14)


def test_a_quantile_is_the_least_value_that_so_many_do_not_exceed() -> None:
    assert [quantile([1, 2, 3, 4], part) for part in (0.0, 0.25, 0.5, 0.95, 1.0)] == [1, 1, 2, 4, 4]


def test_gaps_of_pure_chance_have_a_shape_near_one_and_even_ones_a_greater() -> None:
    dice = random.Random(7)
    assert shape_of([dice.expovariate(1) for _ in range(5000)]) == pytest.approx(1, rel=0.1)
    assert shape_of([7.0] * 24) == pytest.approx(25)


def test_a_daily_source_is_overdue_after_two_whole_days() -> None:
    assert first_overdue(rhythm(list(range(60)))) == 2


def test_a_weekend_is_no_silence_for_a_source_of_weekdays() -> None:
    found = rhythm([number for number in range(60) if number % 7 < 5])
    assert first_overdue(found) >= 4
    assert found.usual_gap_days == 2


@pytest.mark.parametrize("every, most", [(7, 22), (14, 44)])
def test_a_source_of_every_week_or_fortnight_is_given_its_time_and_then_called(every: int, most: int) -> None:
    silent = first_overdue(rhythm(list(range(0, 26 * every, every))))
    assert every < silent <= most


def test_a_source_that_reports_now_and_then_is_given_longer() -> None:
    dice = random.Random(5)
    often, seldom = (
        rhythm([number for number in range(200) if dice.random() < chance]) for chance in (0.7, 0.15)
    )
    assert 3 <= first_overdue(often) <= 10
    assert first_overdue(seldom) >= 20


def test_too_few_days_make_no_rhythm_and_a_young_source_is_given_a_fortnight() -> None:
    assert learn([day(0), day(1)]) is None
    assert first_overdue(rhythm([0, 1, 2])) == 15
    assert first_overdue(rhythm([0, 10, 20])) == 28


def test_announced_downtime_counts_in_no_gap() -> None:
    away = {day(number) for number in range(60, 70)}
    found = learn([day(number) for number in range(60)], away)
    assert found is not None
    assert not found.is_overdue(day(71), away)
    assert found.is_overdue(day(72), away)
    after = learn([day(number) for number in (*range(60), *range(70, 100))], away)
    assert after is not None
    assert after.longest_gap_days == 0
    assert first_overdue(after) == 2


def test_one_long_gap_makes_a_source_less_certain_but_not_deaf() -> None:
    once = rhythm([*range(30), *range(37, 60)])
    assert 2 < first_overdue(once) <= 14


def test_false_alarms_are_as_rare_as_promised() -> None:
    dice = random.Random(11)
    alarms = years = 0
    for chance in (0.9, 0.6, 0.3, 0.15):
        days = [number for number in range(365 * 4) if dice.random() < chance]
        years += 4
        for place in range(REGULAR_DAYS, len(days)):
            seen = [day(number) for number in days[max(0, place - 80) : place]]
            found = learn(seen)
            alarms += found is not None and found.is_overdue(day(days[place]))
    assert alarms / years <= 0.5, "one in two years, of a source that reports by pure chance"


CYCLES = st.integers(1, 14).flatmap(lambda length: st.sets(st.integers(0, length - 1), min_size=1).map(lambda which: (length, which)))  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(cycle=CYCLES, cycles=st.integers(6, 12), dropped=st.integers(0, 13))
def test_a_source_with_a_regular_rhythm_is_never_overdue_within_it(
    cycle: tuple[int, set[int]], cycles: int, dropped: int
) -> None:
    length, which = cycle
    days = [number for number in range(length * cycles) if number % length in which]
    days = days[: len(days) - dropped % len(which)]
    following = next(number for number in range(days[-1] + 1, days[-1] + length + 1) if number % length in which)  # fmt: skip
    found = learn([day(number) for number in days])
    assert found is None or not any(
        found.is_overdue(day(number)) for number in range(days[-1], following + 1)
    )


@settings(deadline=None, max_examples=60)
@given(days=st.sets(st.integers(0, 120), min_size=3))
def test_a_source_that_stops_for_ever_is_overdue_one_day_and_stays_so(days: set[int]) -> None:
    found = rhythm(sorted(days))
    later = [*range(60), *range(60, 2500, 61)]
    overdue = [found.is_overdue(found.last_day + timedelta(days=number)) for number in later]
    assert not overdue[0]
    assert overdue[-1]
    assert overdue == sorted(overdue), "once overdue, always overdue"
