"""When a report is due, and of which days: answers from a schedule and a moment alone, all in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from gridkeeper.queries.periods import Period, last_full_week, month_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.settings import Schedule

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Due:
    """One report that is due: of which schedule, when, and of which days."""

    schedule: Schedule
    at: datetime
    period: Period


def period_at(schedule: Schedule, at: datetime, week_start: str) -> Period:
    """The last week or month that is over at the moment `at`; weeks begin on `week_start`, days at 00:00 UTC."""
    today = at.astimezone(UTC).date()
    if schedule.period == "week":
        return last_full_week(today, week_start)
    return month_of(today).before()


def late_at(schedule: Schedule, due_at: datetime) -> datetime:
    """From when on a report that was due then is called late."""
    return due_at + timedelta(minutes=schedule.grace_minutes)


def next_due(schedule: Schedule, moment: datetime) -> datetime:
    """The first due moment after `moment`."""
    return next(_after(schedule, moment))


def last_due(schedule: Schedule, moment: datetime) -> datetime:
    """The last due moment up to `moment`, that moment included."""
    day = _due_day(schedule, moment.astimezone(UTC).date())
    if _at(schedule, day) > moment:
        day = _due_day(schedule, day - timedelta(days=1))
    return _at(schedule, day)


def due_since(schedule: Schedule, known: datetime, moment: datetime, week_start: str) -> list[Due]:
    """What came due after `known` and up to `moment`, oldest first.

    A period that is due a second time, because the day of the schedule was changed, is left out.
    """
    found = []
    before = period_at(schedule, known, week_start)
    for at in takewhile(lambda at: at <= moment, _after(schedule, known)):
        period = period_at(schedule, at, week_start)
        if period != before:
            found.append(Due(schedule, at, period))
        before = period
    return found


def _after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """All due moments after `moment`, without end."""
    day = _due_day(schedule, moment.astimezone(UTC).date())
    while True:
        if _at(schedule, day) > moment:
            yield _at(schedule, day)
        day = day + _WEEK if schedule.period == "week" else month_of(day).until.replace(day=schedule.day)


def _due_day(schedule: Schedule, day: date) -> date:
    """The last day of the schedule up to `day`."""
    if schedule.period == "week":
        return day - timedelta(days=(day.isoweekday() - schedule.day) % 7)
    if day.day < schedule.day:
        day = month_of(day).before().first
    return day.replace(day=schedule.day)


def _at(schedule: Schedule, day: date) -> datetime:
    return datetime.combine(day, schedule.time, UTC)
