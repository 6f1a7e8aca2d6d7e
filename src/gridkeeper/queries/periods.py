"""Periods of whole UTC days, half-open: [first, until)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import WEEKDAYS

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
    def name(self) -> str:
        """`January 2017`, or `31 Jan – 6 Feb 2017`."""
        if self.is_month:
            return f"{self.first:%B %Y}"
        if self.days == 1:
            return f"{self.first.day} {self.first:%b %Y}"
        year = f" {self.first:%Y}" if self.first.year != self.last.year else ""
        return f"{self.first.day} {self.first:%b}{year} – {self.last.day} {self.last:%b %Y}"

    def before(self) -> Period:
        """The period before: the month before a month, else as many days."""
        if self.is_month:
            return month_of(self.first - timedelta(days=1))
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
    """Read `2017-01-31`. Raises: UserMistake (permanent)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is no day; write it as 2017-01-31") from None


def parse_month(text: str) -> Period:
    """Read `2017-01`. Raises: UserMistake (permanent)."""
    fits = _MONTH.fullmatch(text)
    if not fits or not 1 <= int(fits[2]) <= 12 or int(fits[1]) < 1:
        raise UserMistake(f"{text!r} is no month; write it as 2017-01")
    return month_of(date(int(fits[1]), int(fits[2]), 1))


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
