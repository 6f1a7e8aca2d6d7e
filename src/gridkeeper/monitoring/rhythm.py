"""A source's rhythm: on which weekdays it has records, how long its gaps are, and how unlikely the present one is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from gridkeeper.monitoring.chances import gamma_tail, quantile, shape_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# How often a source that keeps its rhythm is called silent: in one of so many stretches as long as what was learnt from.
FALSE_ALARM_RATE = 0.005
USUAL_PART = 0.95
HISTORY_DAYS = 56
# A source with fewer days with records than these in HISTORY_DAYS is learnt from a longer past.
REGULAR_DAYS = 24
LEAST_DAYS = 3
LEAST_GAPS = 4
LEAST_SILENT_DAYS = 2
# A source of which fewer than LEAST_GAPS gaps are known is given so long, and so many times its longest gap.
YOUNG_DAYS = 14
YOUNG_TIMES = 3
# From so many days on, weekdays are told apart; so many days of the mean are mixed into each weekday.
WEEKDAYS_FROM_DAYS = 28
WEEKDAY_PRIOR = 1.0
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rhythm:
    """What was learnt from the days on which a source had records.

    last_day: the last of them.
    weights:  what a Monday, Tuesday, ... counts, in working days; a week counts 7.
    gaps:     from one day with records to the next, in working days, `mean` on average.
    shape:    how regular they are; see chances.shape_of.
    usual:    the gap that 95 % of them do not exceed, in working days.
    usual_gap_days, longest_gap_days: days without records in between, that 95 % (all) of the gaps do not exceed.
    """

    last_day: date
    weights: tuple[float, ...]
    gaps: int
    mean: float
    shape: float
    usual: float
    usual_gap_days: int
    longest_gap_days: int

    def silent_days(self, until: date, away: Collection[date] = ()) -> int:
        """Whole days after the last one and before `until`, without those in `away`."""
        first = self.last_day + _DAY
        return max(0, (until - first).days) - sum(first <= day < until for day in away)

    def chance(self, until: date, away: Collection[date] = ()) -> float:
        """The chance that as many gaps as were learnt from hold one so long as that up to `until`; at most 1."""
        return min(1.0, self.gaps * gamma_tail(self.shape, self._elapsed(until, away) / self.mean))

    def is_overdue(self, until: date, away: Collection[date] = ()) -> bool:
        """Whether the gap up to `until` is too long for the rhythm.

        It must be LEAST_SILENT_DAYS whole days, longer than usual, and less likely than FALSE_ALARM_RATE.
        """
        silent = self.silent_days(until, away)
        if silent < LEAST_SILENT_DAYS:
            return False
        if self.gaps < LEAST_GAPS:
            return silent > max(YOUNG_DAYS, YOUNG_TIMES * self.longest_gap_days)
        return self._elapsed(until, away) > self.usual and self.chance(until, away) < FALSE_ALARM_RATE

    def _elapsed(self, until: date, away: Collection[date]) -> float:
        """The working days since the last day; whole weeks at once, since a gap may be long."""
        first = self.last_day + _DAY
        weeks, rest = divmod(max(0, (until - first).days), 7)
        counted = weeks * sum(self.weights) + _weigh(self.weights, days_between(first, first + rest * _DAY))
        return counted - _weigh(self.weights, [day for day in away if first <= day < until])


def days_between(first: date, until: date, away: Collection[date] = ()) -> list[date]:
    """The days from `first` on, before `until`, without those in `away`."""
    days = (first + timedelta(days=number) for number in range((until - first).days))
    return [day for day in days if day not in away]


def learnt_from(days: Sequence[date], history_days: int = HISTORY_DAYS) -> Sequence[date]:
    """Those of the days (in order) that a rhythm is learnt from: the latest HISTORY_DAYS, or REGULAR_DAYS with records."""
    if not days:
        return days
    first = days[-1] - timedelta(days=history_days)
    return [day for place, day in enumerate(days) if day > first or len(days) - place <= REGULAR_DAYS + 1]


def learn(
    days: Sequence[date], away: Collection[date] = (), history_days: int = HISTORY_DAYS
) -> Rhythm | None:
    """Learn a source's rhythm from the days on which it had records.

    days:    in order, each once.
    away:    days that count in no gap, because the source was announced to be down.
    Returns: None where there are fewer than LEAST_DAYS days.
    """
    days = learnt_from(days, history_days)
    if len(days) < LEAST_DAYS:
        return None
    weights = _weekday_weights(days, away)
    # Days without records between two with some; most sources have none, so this is quick.
    between = [
        days_between(before + _DAY, after, away) if after - before > _DAY else []
        for before, after in pairwise(days)
    ]
    gaps = [
        _weigh(weights, empty) + weights[after.weekday()]
        for empty, after in zip(between, days[1:], strict=True)
    ]
    empty_days = [len(empty) for empty in between]
    return Rhythm(
        days[-1], weights, len(gaps), sum(gaps) / len(gaps), shape_of(gaps), quantile(gaps, USUAL_PART),
        int(quantile(empty_days, USUAL_PART)), max(empty_days),
    )  # fmt: skip


def _weigh(weights: Sequence[float], days: Collection[date]) -> float:
    return sum(weights[day.weekday()] for day in days)


def _weekday_weights(days: Sequence[date], away: Collection[date]) -> tuple[float, ...]:
    """How much likelier records are on each weekday than on an average day; all 1 where too few days are known."""
    active = set(days[1:])
    known = [day for day in days_between(days[0] + _DAY, days[-1] + _DAY) if day in active or day not in away]
    if len(known) < WEEKDAYS_FROM_DAYS:
        return (1.0,) * 7
    rate = len(active) / len(known)
    counted, with_records = [0] * 7, [0] * 7
    for day in known:
        counted[day.weekday()] += 1
        with_records[day.weekday()] += day in active
    return tuple(
        (some + WEEKDAY_PRIOR * rate) / (all_ + WEEKDAY_PRIOR) / rate
        for some, all_ in zip(with_records, counted, strict=True)
    )
