"""When reports are due, and of which days, at the edges of weeks, months and years."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.model import WEEKDAYS
from gridkeeper.queries.periods import Period
from gridkeeper.schedules.due import due_since, last_due, late_at, next_due, period_at
from gridkeeper.settings import Schedule
from tests.homes import at

MOMENTS = st.integers(0, 60 * 366 * 24 * 60).map(
    lambda minutes: at("1999-01-01") + timedelta(minutes=minutes)
)
TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
STARTS = st.sampled_from(WEEKDAYS)


def week(day: int, hour: int = 6) -> Schedule:
    return Schedule(name="weekly", report="production", period="week", day=day, time=time(hour))


def month(day: int, hour: int = 6) -> Schedule:
    return Schedule(name="monthly", report="site-vo", period="month", day=day, time=time(hour))


def period(first: str, until: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(until))


def test_the_meeting_on_tuesday_gets_the_week_from_tuesday_to_monday() -> None:
    assert next_due(week(2), at("2017-02-05T12:00")) == at("2017-02-07T06:00")
    assert period_at(week(2), at("2017-02-07T06:00"), "tuesday") == period("2017-01-31", "2017-02-07")


def test_with_weeks_from_monday_the_same_meeting_gets_the_week_from_monday_to_sunday() -> None:
    assert period_at(week(2), at("2017-02-07T06:00"), "monday") == period("2017-01-30", "2017-02-06")


def test_at_the_first_moment_of_a_week_the_week_before_is_full() -> None:
    assert period_at(week(1, 0), at("2017-02-06T00:00"), "monday") == period("2017-01-30", "2017-02-06")
    assert period_at(week(7, 23), at("2017-02-05T23:00"), "monday") == period("2017-01-23", "2017-01-30")


@pytest.mark.parametrize(
    ("due", "first", "until"),
    [
        ("2017-01-01T06:00", "2016-12-01", "2017-01-01"),
        ("2016-03-01T06:00", "2016-02-01", "2016-03-01"),
        ("2017-03-01T06:00", "2017-02-01", "2017-03-01"),
        ("2000-03-01T06:00", "2000-02-01", "2000-03-01"),
    ],
)
def test_on_the_first_of_a_month_the_month_before_is_full(due: str, first: str, until: str) -> None:
    assert period_at(month(1), at(due), "monday") == period(first, until)


def test_a_week_over_new_year_is_one_week() -> None:
    assert period_at(week(3), at("2017-01-04T06:00"), "wednesday") == period("2016-12-28", "2017-01-04")


def test_february_has_a_28th_every_year_and_the_leap_day_belongs_to_it() -> None:
    assert next_due(month(28), at("2016-02-28T06:00")) == at("2016-03-28T06:00")
    assert next_due(month(28), at("2016-02-28T05:59")) == at("2016-02-28T06:00")
    assert period_at(month(28), at("2016-03-28T06:00"), "monday").days == 29


def test_a_due_moment_is_the_last_one_at_that_moment_and_not_the_next() -> None:
    due = at("2017-02-07T06:00")
    assert last_due(week(2), due) == due
    assert last_due(week(2), due - timedelta(microseconds=1)) == at("2017-01-31T06:00")
    assert next_due(week(2), due) == at("2017-02-14T06:00")


def test_three_weeks_without_a_look_are_three_runs() -> None:
    found = due_since(week(2), at("2017-02-07T06:00"), at("2017-02-28T06:00"), "tuesday")
    assert [due.at for due in found] == [at(f"2017-02-{day}T06:00") for day in (14, 21, 28)]
    assert [due.period.first for due in found] == [date(2017, 2, day) for day in (7, 14, 21)]


def test_a_schedule_moved_to_another_day_does_not_make_the_same_week_twice() -> None:
    made_on_tuesday = at("2017-02-07T06:00")
    found = due_since(week(4), made_on_tuesday, at("2017-02-17T00:00"), "tuesday")
    assert [due.at for due in found] == [at("2017-02-16T06:00")]


def test_late_is_after_the_grace() -> None:
    assert late_at(week(2), at("2017-02-07T06:00")) == at("2017-02-07T07:00")


@given(moment=MOMENTS, day=st.integers(1, 7), hour=TIMES, start=STARTS)
def test_every_week_is_full_when_it_is_due_and_the_newest_that_is(
    moment: datetime, day: int, hour: time, start: str
) -> None:
    schedule = Schedule(name="w", report="production", period="week", day=day, time=hour)
    _holds(schedule, moment, start, longest=timedelta(days=7))
    due = last_due(schedule, moment)
    found = period_at(schedule, due, start)
    assert due.isoweekday() == day
    assert found.days == 7
    assert WEEKDAYS[found.first.weekday()] == start
    assert due.date() - found.until < timedelta(days=7)


@given(moment=MOMENTS, day=st.integers(1, 28), hour=TIMES)
def test_every_month_is_the_one_before_that_of_the_day_it_is_due(
    moment: datetime, day: int, hour: time
) -> None:
    schedule = Schedule(name="m", report="trends", period="month", day=day, time=hour)
    _holds(schedule, moment, "monday", longest=timedelta(days=31))
    due = last_due(schedule, moment)
    found = period_at(schedule, due, "monday")
    assert due.day == day
    assert found.is_month
    assert found.until == due.date().replace(day=1)


def _holds(schedule: Schedule, moment: datetime, start: str, longest: timedelta) -> None:
    """The laws of all schedules: before, now, after; full periods one after the other, none left out."""
    before, after = last_due(schedule, moment), next_due(schedule, moment)
    assert before <= moment < after
    assert timedelta(0) < after - before <= longest
    assert datetime.combine(period_at(schedule, before, start).until, time(), UTC) <= before
    found = due_since(schedule, before, moment + timedelta(days=100), start)
    assert found[0].at == after
    periods = [period_at(schedule, before, start), *(due.period for due in found)]
    assert all(one.until == two.first for one, two in pairwise(periods))
