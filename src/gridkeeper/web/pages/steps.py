"""Where to go from the period that a page shows: the one before, the one after, and every week and month of the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.queries.periods import Period, month_of, week_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_WEEKS, MOST_MONTHS = 60, 36


@dataclass(frozen=True)
class Choice:
    """A period to go to: its name, how an address asks for it, and whether it is the one shown."""

    name: str
    asked: Mapping[str, str]
    is_shown: bool = False


@dataclass(frozen=True)
class Steps:
    """Where to go from a period: the one before and the one after it, and all weeks and months of the books, newest first."""

    before: Choice | None
    after: Choice | None
    weeks: tuple[Choice, ...]
    months: tuple[Choice, ...]


def steps_of(known: Period | None, period: Period, week_start: str) -> Steps:
    """Where to go from a period, inside the days that are known."""
    if known is None:
        return Steps(None, None, (), ())
    before, after = period.before(), _after(period)
    weeks: list[Period] = []
    week = week_of(known.last, week_start)
    while week.until > known.first and len(weeks) < MOST_WEEKS:
        weeks.append(week)
        week = week.before()
    months: list[Period] = []
    month = month_of(known.last)
    while month.until > known.first and len(months) < MOST_MONTHS:
        months.append(month)
        month = month.before()
    return Steps(
        _choice(before, week_start) if before.until > known.first else None,
        _choice(after, week_start) if after.first < known.until else None,
        tuple(_choice(one, week_start, period) for one in weeks),
        tuple(_choice(one, week_start, period) for one in months),
    )


def _after(period: Period) -> Period:
    if period.is_month:
        return month_of(period.until)
    return Period(period.until, period.until + timedelta(days=period.days))


def _choice(period: Period, week_start: str, shown: Period | None = None) -> Choice:
    return Choice(period.name, asked_as(period, week_start), period == shown)


def asked_as(period: Period, week_start: str) -> dict[str, str]:
    """How an address asks for a period."""
    if period.is_month:
        return {"month": f"{period.first:%Y-%m}"}
    if period == week_of(period.first, week_start):
        return {"week": period.first.isoformat()}
    return {"first": period.first.isoformat(), "until": period.until.isoformat()}
