"""How many core hours a silent source probably holds back: by its weekdays, or by the payloads that go on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from gridkeeper.monitoring.rhythm import HISTORY_DAYS, days_between
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

INTERVAL_PART = 0.80
_INTERVAL_Z = 1.2816  # of the normal distribution, for INTERVAL_PART
LEAST_HALF_INTERVAL = 0.05  # of the estimate: however even the past was, nothing is known better
# Hours are learnt from so many days before the last one, or as many as hold so many days with records.
RECENT_DAYS = 28
RECENT_WITH_RECORDS = 8
LEAST_REFERENCE_DAYS = 3
# So many average days are mixed into each weekday's mean.
WEEKDAY_PRIOR = 4.0
MOST_CORRELATION = 0.8
# Payloads "go on" where they have records on this part of the silent days.
GO_ON_PART = 0.5
LEAST_DRIFT_WEEKS = 4
_WEEK_DAYS = 7
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Missing:
    """Core hours that are probably missing.

    low, high:     with a chance of INTERVAL_PART it is between them.
    days:          the days that it is about.
    from_payloads: whether it was learnt from what ran inside the pilots meanwhile.
    from_months:   whether it was learnt from the monthly sums before; else from the weekdays before.
    """

    core_hours: float
    low: float
    high: float
    days: int
    from_payloads: bool = False
    from_months: bool = False

    def __add__(self, other: Missing) -> Missing:
        """Both together; as if they went up and down together, so the interval is not too narrow."""
        return Missing(
            self.core_hours + other.core_hours, self.low + other.low, self.high + other.high,
            max(self.days, other.days), self.from_payloads and other.from_payloads, self.from_months and other.from_months,
        )  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """How far days were from what was expected of them, in core seconds.

    spread:      variance of a day.
    correlation: of a day with the next.
    drift:       variance of the change of a day's mean from one week to the next, beyond that of chance.
    days:        how many were looked at.
    """

    spread: float
    correlation: float
    drift: float
    days: int

    def deviation(self, days: int) -> float:
        """The standard deviation of a sum over so many days: by chance, by what was learnt, by drift since."""
        clustered = (1 + self.correlation) / (1 - self.correlation)
        by_chance = days * self.spread * clustered * (1 + days / self.days)
        return math.sqrt(by_chance + days * days * self.drift * (self.days + days) / 2 / _WEEK_DAYS)


def missing_by_weekday(
    core_seconds: Mapping[date, int], until: date, away: Collection[date] = ()
) -> Missing | None:
    """Estimate what is missing after the last day and before `until` from the weekdays before it.

    core_seconds: day → core seconds, only days with records.
    away:         days on which nothing was expected.
    Returns: None where too little is known, or no day is over since.
    Units:   core hours; core seconds in.
    """
    reference, silent = _reference(core_seconds, away), _silent_days(core_seconds, until, away)
    if len(reference) < LEAST_REFERENCE_DAYS or not silent:
        return None
    mean = sum(core_seconds.get(day, 0) for day in reference) / len(reference)
    by_weekday = []
    for weekday in range(7):
        of_weekday = [core_seconds.get(day, 0) for day in reference if day.weekday() == weekday]
        by_weekday.append((sum(of_weekday) + WEEKDAY_PRIOR * mean) / (len(of_weekday) + WEEKDAY_PRIOR))
    fit = fit_of(
        [core_seconds.get(day, 0) - by_weekday[day.weekday()] for day in reference],
        [core_seconds.get(day, 0) - by_weekday[day.weekday()] for day in _history(core_seconds, away)],
    )
    expected = sum(by_weekday[day.weekday()] for day in silent)
    return missing_about(expected, fit.deviation(len(silent)), len(silent), from_payloads=False)


def missing_by_payloads(
    core_seconds: Mapping[date, int], payloads: Mapping[date, int], until: date, away: Collection[date] = ()
) -> Missing | None:
    """Estimate the same from the payloads that ran on the resource meanwhile: their core seconds, times the ratio before.

    Returns: None where payloads did not go on, or were not there before.
    """
    reference, silent = _reference(core_seconds, away), _silent_days(core_seconds, until, away)
    known = [day for day in reference if payloads.get(day)]
    if len(known) < LEAST_REFERENCE_DAYS or not go_on(payloads, silent):
        return None
    ratio = sum(core_seconds.get(day, 0) for day in reference) / sum(
        payloads.get(day, 0) for day in reference
    )
    fit = fit_of(
        [core_seconds.get(day, 0) - ratio * payloads.get(day, 0) for day in reference],
        [core_seconds.get(day, 0) - ratio * payloads.get(day, 0) for day in _history(core_seconds, away)],
    )
    expected = ratio * sum(payloads.get(day, 0) for day in silent)
    return missing_about(expected, fit.deviation(len(silent)), len(silent), from_payloads=True)


def go_on(payloads: Mapping[date, int], silent: Sequence[date]) -> bool:
    """Whether there were payloads on so many of the silent days that the resource was plainly at work."""
    return bool(silent) and sum(1 for day in silent if payloads.get(day)) >= GO_ON_PART * len(silent)


def mean_core_hours(core_seconds: Mapping[date, int]) -> float | None:
    """What a source usually reports a day, before its last day; None where too little is known."""
    reference = _reference(core_seconds, ())
    if not reference:
        return None
    return sum(core_seconds.get(day, 0) for day in reference) / len(reference) / SECONDS_PER_HOUR


def _reference(core_seconds: Mapping[date, int], away: Collection[date]) -> list[date]:
    """The days that hours are learnt from: before the last one, which may not have been whole."""
    active = sorted(core_seconds)
    if not active:
        return []
    last = active[-1]
    enough = active[-min(len(active), RECENT_WITH_RECORDS + 1)]
    return days_between(max(active[0], min(last - RECENT_DAYS * _DAY, enough)), last, away)


def _silent_days(core_seconds: Mapping[date, int], until: date, away: Collection[date]) -> list[date]:
    return days_between(max(core_seconds) + _DAY, until, away) if core_seconds else []


def _history(core_seconds: Mapping[date, int], away: Collection[date]) -> list[date]:
    """The days that drift is learnt from: of HISTORY_DAYS before the last one."""
    last = max(core_seconds)
    return days_between(max(min(core_seconds), last - HISTORY_DAYS * _DAY), last, away)


def fit_of(off: Sequence[float], longer: Sequence[float] = ()) -> Fit:
    """Learn from how far days were off; the drift from a longer past, if there is one."""
    squares = sum(value * value for value in off)
    together = sum(before * after for before, after in pairwise(off))
    correlation = min(MOST_CORRELATION, max(0.0, together / squares)) if squares else 0.0
    spread = squares / (len(off) - 1)
    weeks = [
        sum(longer[end - _WEEK_DAYS : end]) / _WEEK_DAYS
        for end in range(len(longer), _WEEK_DAYS - 1, -_WEEK_DAYS)
    ]
    drift = 0.0
    if len(weeks) >= LEAST_DRIFT_WEEKS:
        changes = [(later - earlier) ** 2 for later, earlier in pairwise(weeks)]
        drift = max(0.0, sum(changes) / len(changes) - 2 * spread / _WEEK_DAYS)
    return Fit(spread, correlation, drift, len(off))


def missing_about(core_seconds: float, deviation: float, days: int, *, from_payloads: bool) -> Missing:
    """An estimate with its interval. deviation: its standard deviation, in core seconds, too."""
    half = max(_INTERVAL_Z * deviation, LEAST_HALF_INTERVAL * core_seconds)
    low, high = max(0.0, core_seconds - half), core_seconds + half
    return Missing(
        core_seconds / SECONDS_PER_HOUR, low / SECONDS_PER_HOUR, high / SECONDS_PER_HOUR, days, from_payloads
    )
