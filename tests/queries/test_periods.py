"""Periods: what stands before whole months, and years that no usage can have."""

from __future__ import annotations

import pytest

from gridkeeper.errors import UserMistake
from gridkeeper.queries.periods import Period, parse_day, parse_month, period_between


def period(first: str, until: str) -> Period:
    found = period_between(first, until)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "asked, before",
    [
        (("2017-01-01", "2017-02-01"), ("2016-12-01", "2017-01-01")),
        (("2017-01-01", "2017-03-01"), ("2016-11-01", "2017-01-01")),
        (("2016-01-01", "2017-01-01"), ("2015-01-01", "2016-01-01")),
        (("2017-01-31", "2017-02-07"), ("2017-01-24", "2017-01-31")),
        (("2017-01-01", "2017-01-08"), ("2016-12-25", "2017-01-01")),
    ],
)
def test_before_whole_months_come_as_many_months_else_as_many_days(
    asked: tuple[str, str], before: tuple[str, str]
) -> None:
    assert period(*asked).before() == period(*before)


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2101-01-01", "9999-12-31"])
def test_a_day_that_no_usage_can_have_is_refused_with_the_years_that_can_be_asked(day: str) -> None:
    for read in (parse_day, lambda text: parse_month(text[:7])):
        with pytest.raises(UserMistake, match="outside the years 1970 to 2100"):
            read(day)


def test_the_first_and_the_last_year_can_be_asked() -> None:
    assert parse_month("1970-01").before().first.year == 1969
    assert parse_month("2100-12").until.year == 2101
