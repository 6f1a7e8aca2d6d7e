"""The rhythm of monthly sums: how long after a month they come, how many months lie between, and which are missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import pstdev
from typing import TYPE_CHECKING

from gridkeeper.monitoring.chances import gamma_tail, quantile, shape_of
from gridkeeper.monitoring.rhythm import LEAST_GAPS, LEAST_SILENT_DAYS, USUAL_PART, YOUNG_DAYS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Of one with fewer months nothing is said.
LEAST_MONTHS = 3
# What 9 of 10 months took to come is usual; beyond that a month is waited for so many standard deviations more.
USUAL_DELAY_PART = 0.9
PATIENCE_DEVIATIONS = 3.0
# Of a sender of which too little is known, a month's sums are waited for so long after its end.
YOUNG_MONTH_DAYS = 31
# What came later than so after its month was loaded from the past, and says nothing of when it is usually sent.
MOST_DELAY_DAYS = 92
# A stretch learnt from is a year or two here, not some weeks; one false alarm in twenty of them is as rare in time.
MONTHS_FALSE_ALARM_RATE = 0.05
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class MonthRhythm:
    """What was learnt from the months of one sender. Months are told by their first day.

    last:         the newest month of which sums are known.
    gaps:         how many gaps it was learnt from, from one month that was sent to the next one; `mean` months on average.
    shape:        how regular they are; see chances.shape_of.
    usual_months: the gap that 95 % of them do not exceed (all, of a young sender).
    is_even:      whether most gaps are as long as that.
    delay_days:   days after a month's end that 9 of 10 months took to come; None where too few are known.
    patience_days: days for which it is waited beyond that (of a young sender, after the month's end).
    """

    last: date
    gaps: int
    mean: float
    shape: float
    usual_months: int
    is_even: bool
    delay_days: int | None
    patience_days: int

    def due(self, month: date) -> date:
        """The day at whose end the sums of a month should be here."""
        return months_later(month, 1) + ((self.delay_days or 0) + self.patience_days) * _DAY

    def missing(self, until: date, asked: date, away: Collection[date] = ()) -> tuple[date, ...]:
        """The months that are missing; none while the sender keeps its rhythm.

        until: months that end before it are over.
        asked: days before it are over; a month is due on one of them.
        away:  days on which nothing was expected; a month of only such days is never missing.
        """
        found = []
        month = months_later(self.last, 1)
        while months_later(month, 1) <= until and self.due(month) < asked:
            if not all(day in away for day in _days_of(month)):
                found.append(month)
            month = months_later(month, 1)
        return tuple(found) if self._is_long(len(found)) else ()

    def _is_long(self, months: int) -> bool:
        """Whether so many months in a row, all of them due, are too many for its gaps."""
        if months < self.usual_months:
            return False
        chance = self.gaps * gamma_tail(self.shape, months / self.mean) if not self.is_even else 0.0
        return chance < MONTHS_FALSE_ALARM_RATE


def learn_months(came: Mapping[date, date | None]) -> MonthRhythm | None:
    """Learn from the months of which sums are known.

    came:    month → the first day on which any of its sums came; None where that is not known.
    Returns: None where there are fewer than LEAST_MONTHS months.
    """
    months = sorted(came)
    if len(months) < LEAST_MONTHS:
        return None
    delays = _delays(months, came)
    between = [_months_between(*pair) for pair in pairwise(delays)]
    if len(between) < LEAST_GAPS:
        known = [_months_between(*pair) for pair in pairwise(months)]
        patience = max(YOUNG_MONTH_DAYS, max(delays.values(), default=0) + YOUNG_DAYS)
        return MonthRhythm(
            months[-1], len(known), sum(known) / len(known), 1.0, max(*known, *between), True, None, patience
        )  # fmt: skip
    usual = int(quantile(between, USUAL_PART))
    delay = int(quantile(list(delays.values()), USUAL_DELAY_PART))
    spread = pstdev(min(days, delay) for days in delays.values())
    return MonthRhythm(
        months[-1], len(between), sum(between) / len(between), shape_of(between), usual, quantile(between, 0.5) == usual,
        delay, max(LEAST_SILENT_DAYS, math.ceil(PATIENCE_DEVIATIONS * spread)),
    )  # fmt: skip


def _delays(months: list[date], came: Mapping[date, date | None]) -> dict[date, int]:
    """Of each month that came before any later one did: the days from its end until then; 0 where it came earlier.

    Months that came with a later one, all at once, tell neither when sums are usually sent nor how often.
    """
    found: dict[date, int] = {}
    earliest = date.max
    for month in reversed(months):
        day = came[month]
        if day is None:
            continue
        days = (day - months_later(month, 1)).days
        if day < earliest and days <= MOST_DELAY_DAYS:
            found[month] = max(0, days)
        earliest = min(earliest, day)
    return dict(reversed(found.items()))


def months_later(month: date, number: int) -> date:
    """The first day of the month so many months later."""
    years, place = divmod(month.month - 1 + number, 12)
    return date(month.year + years, place + 1, 1)


def months_known(first: date, last: date) -> list[date]:
    """Every month from one to another, both included."""
    return [months_later(first, number) for number in range(_months_between(first, last) + 1)]


def _months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def _days_of(month: date) -> list[date]:
    return [month + number * _DAY for number in range((months_later(month, 1) - month).days)]
