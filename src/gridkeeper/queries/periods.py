"""Periods of whole UTC days, half-open: [first, until)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import WEEKDAYS

FIRST_YEAR, LAST_YEAR = 1970, 2100
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")


@dataclass(frozen=True)
class Period:
    """The days from `first` on, before `until`; and what people call them."""

    first: date
    until: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.first).days

    @property
    def last(self) -> date:
        """Its last day."""
        return self.until - timedelta(days=1)

    @property
    def is_month(self) -> bool:
        """Whether it is exactly one calendar month."""
        return self.first.day == 1 and self.until == _next_month(self.first)

    @property
    def is_whole_months(self) -> bool:
        """Whether it is one calendar month or several, from the first of one to the first of another."""
        return self.first.day == 1 and self.until.day == 1

    @property
    def whole_months(self) -> Period | None:
        """The whole calendar months in it; None where there is none."""
        first = self.first if self.first.day == 1 else _next_month(self.first)
        until = self.until.replace(day=1)
        return Period(first, until) if first < until else None

    @property
    def name(self) -> str:
        """`January 2017`, or `31 Jan – 6 Feb 2017`."""
        if self.is_month:
            return f"{self.first:%B %Y}"
        if self.days == 1:
            return f"{self.first.day} {self.first:%b %Y}"
        year = f" {self.first:%Y}" if self.first.year != self.last.year else ""
        return f"{self.first.day} {self.first:%b}{year} – {self.last.day} {self.last:%b %Y}"

    def before(self) -> Period:
        """The period before: as many months before whole months, else as many days."""
        if self.is_whole_months:
            months = 12 * (self.until.year - self.first.year) + self.until.month - self.first.month
            year, month = divmod(12 * self.first.year + self.first.month - 1 - months, 12)
            return Period(date(year, month + 1, 1), self.first)
        return Period(self.first - timedelta(days=self.days), self.first)

    def dates(self) -> list[date]:
        """All its days in order."""
        return [self.first + timedelta(days=number) for number in range(self.days)]


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def month_of(day: date) -> Period:
    """The calendar month that holds `day`."""
    first = day.replace(day=1)
    return Period(first, _next_month(first))


def week_of(day: date, week_start: str) -> Period:
    """The week that holds `day`, weeks beginning on the weekday named `week_start`."""
    first = day - timedelta(days=(day.weekday() - WEEKDAYS.index(week_start)) % 7)
    return Period(first, first + timedelta(days=7))


def last_full_week(today: date, week_start: str) -> Period:
    """The last week that is over on `today`."""
    return week_of(week_of(today, week_start).first - timedelta(days=1), week_start)


def parse_day(text: str) -> date:
    """Read `2017-01-31`, of the years FIRST_YEAR to LAST_YEAR. Raises: UserMistake (permanent)."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is no day; write it as 2017-01-31") from None
    _must_be_of_our_time(day.year, text)
    return day


def parse_month(text: str) -> Period:
    """Read `2017-01`, of the years FIRST_YEAR to LAST_YEAR. Raises: UserMistake (permanent)."""
    fits = _MONTH.fullmatch(text)
    if not fits or not 1 <= int(fits[2]) <= 12:
        raise UserMistake(f"{text!r} is no month; write it as 2017-01")
    _must_be_of_our_time(int(fits[1]), text)
    return month_of(date(int(fits[1]), int(fits[2]), 1))


def _must_be_of_our_time(year: int, text: str) -> None:
    # Beyond lies no usage; and near the ends of the calendar there is no week before, and no month after.
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise UserMistake(
            f"{text} lies outside the years {FIRST_YEAR} to {LAST_YEAR}, of which usage can be asked; look at the year"
        )


def period_between(first: str | None, until: str | None) -> Period | None:
    """Read a period from its two ends, `until` not belonging to it; None when neither is given.

    Raises: UserMistake (permanent) when one is missing, no day, or they are the wrong way round.
    """
    if first is None and until is None:
        return None
    if first is None or until is None:
        raise UserMistake("a period needs both --first and --until (the day after its last)")
    period = Period(parse_day(first), parse_day(until))
    if period.days <= 0:
        raise UserMistake(
            f"the period from {first} until {until} has no day; --until is the day after the last one"
        )
    return period
