"""The rhythm of monthly sums: a month is missed once it is due by the sender's own delays, and not before."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.monitoring.months import MonthRhythm, learn_months, months_known, months_later

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST = date(2015, 1, 1)


def day_after(month: date, days: int) -> date:
    """So many days after the end of a month."""
    return months_later(month, 1) + timedelta(days=days)


def sent(delays: Mapping[int, int | None]) -> MonthRhythm:
    """A sender whose n-th month came so many days after its end; None: nobody knows when."""
    came = {
        months_later(FIRST, number): None if days is None else day_after(months_later(FIRST, number), days)
        for number, days in delays.items()
    }
    found = learn_months(came)
    assert found is not None
    return found


def first_missed(found: MonthRhythm, most: int = 500) -> date:
    """The first day on which a month is missing, where days before it are over."""
    for number in range(most):
        day = found.last + timedelta(days=number)
        if found.missing(day, day):
            return day
    raise AssertionError("none is ever missing")


def test_a_month_is_some_months_later_and_years_are_turned() -> None:
    assert months_later(date(2016, 11, 1), 3) == date(2017, 2, 1)
    assert months_later(date(2017, 1, 1), -1) == date(2016, 12, 1)
    assert months_known(date(2016, 12, 1), date(2017, 2, 1)) == [
        date(2016, 12, 1),
        date(2017, 1, 1),
        date(2017, 2, 1),
    ]


@pytest.mark.parametrize(
    "delays, missed",
    [([3] * 13, 6), ([0] * 13, 3), ([20] * 13, 23), ([1, 2, 3] * 4, 7), ([3] * 12 + [40], 6)],
    ids=["on the 4th", "at once", "on the 21st", "by the 4th", "on the 4th, once late"],
)
def test_a_month_is_missed_when_it_was_due_and_two_days_or_more_are_over(
    delays: list[int], missed: int
) -> None:
    found = sent(dict(enumerate(delays)))
    following = months_later(found.last, 1)
    assert first_missed(found) == day_after(following, missed)
    assert found.missing(day_after(following, missed), day_after(following, missed)) == (following,)
    assert not found.missing(day_after(following, missed - 1), day_after(following, missed - 1))


def test_a_month_that_is_not_over_is_not_missing_even_where_partial_sums_are_usual() -> None:
    found = sent(dict.fromkeys(range(13), -27))
    assert found.delay_days == 0
    assert first_missed(found) == day_after(months_later(found.last, 1), 3)


def test_whether_a_month_is_due_is_asked_as_of_another_day_than_which_months_are_over() -> None:
    found = sent(dict.fromkeys(range(13), 3))
    end = months_later(found.last, 2)
    assert not found.missing(end, end)
    assert found.missing(end, end + timedelta(days=300)) == (months_later(found.last, 1),)


def test_who_sends_three_months_at_a_time_is_given_three() -> None:
    came: dict[date, date | None] = {}
    for number in range(24):
        month, quarters_last = months_later(FIRST, number), months_later(FIRST, number - number % 3 + 2)
        came[month] = day_after(quarters_last, 10)
    found = learn_months(came)
    assert found is not None
    assert (found.usual_months, found.is_even, found.delay_days) == (3, True, 10)
    day = first_missed(found)
    assert day == day_after(months_later(found.last, 3), 13)
    assert len(found.missing(day, day)) == 3


def test_of_a_young_sender_the_next_month_is_waited_for_until_the_one_after_is_over() -> None:
    found = sent({0: 3, 1: 3, 2: 3})
    assert found.delay_days is None
    assert first_missed(found) == day_after(months_later(found.last, 1), 32)
    assert learn_months({FIRST: None, months_later(FIRST, 1): None}) is None


def test_months_that_were_loaded_from_the_past_tell_no_delay() -> None:
    loaded = date(2024, 5, 5)
    came: dict[date, date | None] = {months_later(FIRST, number): loaded for number in range(20)}
    found = learn_months(came)
    assert found is not None
    assert (found.delay_days, found.patience_days) == (None, 31)
    recent = learn_months({month: months_later(max(came), 1) + timedelta(days=14) for month in came})
    assert recent is not None
    assert (recent.delay_days, recent.patience_days) == (None, 31)


def test_a_month_of_announced_downtime_is_not_missing() -> None:
    found = sent(dict.fromkeys(range(13), 3))
    following = months_later(found.last, 1)
    away = {following + timedelta(days=number) for number in range(31)}
    assert first_missed(found) == day_after(following, 6)
    asked = day_after(following, 6)
    assert not found.missing(asked, asked, away)


def test_who_sends_now_and_then_is_given_longer_and_called_in_the_end() -> None:
    dice = random.Random(3)
    months = sorted(dice.sample(range(24), 11))
    found = sent(dict.fromkeys(months, 3))
    assert not found.is_even
    waited = (first_missed(found) - found.last).days / 30
    assert 4 < waited < 16


def test_false_alarms_are_rare() -> None:
    """Of senders with jobs in a part of the months, with delays of pure chance."""
    dice = random.Random(11)
    alarms = dict.fromkeys((1.0, 0.95, 0.9, 0.7, 0.4), 0.0)
    years = 60
    for chance in alarms:
        months = [number for number in range(12 * years) if dice.random() < chance]
        delays = {number: 1 + min(25, int(dice.expovariate(0.5))) for number in months}
        for place in range(12, len(months) - 1):
            seen = {number: delays[number] for number in months[:place] if number > months[place - 1] - 24}
            comes = months_later(FIRST, months[place] + 1) + timedelta(days=delays[months[place]])
            if len(seen) >= 3:
                alarms[chance] += bool(sent(seen).missing(comes, comes)) / years
    assert alarms[1.0] < 0.3
    assert all(rate < 0.7 for rate in alarms.values()), (
        f"{alarms} a year; a month in ten without jobs is a month to ask about"
    )
