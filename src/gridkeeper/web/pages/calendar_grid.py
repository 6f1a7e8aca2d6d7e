"""A month as weeks of days, each with the downtimes that cover some of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gridkeeper.federation.model import WEEKDAYS
from gridkeeper.queries.periods import Period

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.federation.downtimes.gathering import Told
    from gridkeeper.federation.downtimes.times import Window

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Day:
    """One day, and what is down on it. is_of_month: whether it belongs to the month, or only fills its first or last week."""

    day: date
    is_of_month: bool
    is_today: bool
    told: tuple[Told, ...]


def covers(window: Window, period: Period) -> bool:
    """Whether a window shares time with the days of a period; what covers no time counts on the day that it is declared for."""
    first = datetime.combine(period.first, time(), UTC)
    until = datetime.combine(period.until, time(), UTC)
    if window.is_empty:
        return first <= window.start.at < until
    return window.start.at < until and (window.until is None or window.until > first)


def all_long(month: Period, found: Sequence[Told]) -> list[Told]:
    """Those that cover each day of a month: they are told once, for every day would say them again."""
    first, last = Period(month.first, month.first + _ONE_DAY), Period(month.last, month.until)
    return [one for one in found if covers(one.incident.window, first) and covers(one.incident.window, last)]


def weeks(month: Period, week_start: str, found: Sequence[Told], today: date) -> list[list[Day]]:
    """The weeks of a month, with the days of its neighbours that fill them; those days are empty."""
    lead = (month.first.weekday() - WEEKDAYS.index(week_start)) % 7
    first = month.first - lead * _ONE_DAY
    grid: list[list[Day]] = []
    while first < month.until:
        days = (first + number * _ONE_DAY for number in range(7))
        grid.append([_day(day, month, found, today) for day in days])
        first += 7 * _ONE_DAY
    return grid


def _day(day: date, month: Period, found: Sequence[Told], today: date) -> Day:
    is_of_month = month.first <= day < month.until
    told = [one for one in found if covers(one.incident.window, Period(day, day + _ONE_DAY))]
    return Day(day, is_of_month, day == today, tuple(told) if is_of_month else ())


def in_order_of_weekdays(week_start: str) -> list[str]:
    """The names of the days of a week as a federation counts it."""
    at = WEEKDAYS.index(week_start)
    return [name.capitalize() for name in (*WEEKDAYS[at:], *WEEKDAYS[:at])]
