"""Falls: batch records that go on, but fell behind the payloads at the same resource."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring.missing import GO_ON_PART, RECENT_DAYS, Missing, fit_of, missing_about
from gridkeeper.monitoring.rhythm import days_between
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# By so much, so many standard deviations, and so many times beyond the worst that was seen before.
LEAST_FALL = 0.15
LEAST_DEVIATIONS = 5.0
TIMES_WORST = 1.5
LEAST_DAYS, MOST_DAYS = 3, 28
REFERENCE_DAYS = 28
# Both levels must have been there on so many of the days before.
REGULAR_PART = 0.8
LEAST_SCALE = 0.1
LEAST_NOISE = 0.02  # of a day: however even the past was, no ratio is steadier
WEEK_DAYS = 7
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fall:
    """Batch records that fell while payloads went on. share: the part that is missing."""

    first_day: date
    share: float
    missing: Missing


def find_fall(
    batch: Mapping[date, int], payloads: Mapping[date, int], first: date, until: date, away: Collection[date] = ()
) -> Fall | None:  # fmt: skip
    """Find the day from which batch records fell behind payloads of the same VOs at the same resource.

    For every number of last days, the batch core seconds are compared with those that the payloads let expect
    from the days before; the number that stands out most is taken, if it stands out enough.
    batch, payloads: day → core seconds of VOs that have both.
    Returns: None where nothing fell, or the days before `until` from `first` on are too few to tell.
    """
    days = days_between(first, until, away)
    ran, inside = [batch.get(day, 0) for day in days], [payloads.get(day, 0) for day in days]
    found: tuple[float, Fall] | None = None
    for count in range(LEAST_DAYS, min(MOST_DAYS, len(days) - REFERENCE_DAYS) + 1):
        ratio = sum(ran[:-count]) / max(1, sum(inside[:-count]))
        expected = ratio * sum(inside[-count:])
        short = expected - sum(ran[-count:])
        if short < LEAST_FALL * expected or not short:
            continue
        if not (_are_regular(ran[:-count], inside[:-count]) and _some_of(inside[-count:], GO_ON_PART)):
            continue
        deviation, worst = _deviation_and_worst(ran[:-count], inside[:-count], ratio, count)
        deviation = max(deviation * math.sqrt(expected), LEAST_NOISE * expected / math.sqrt(count))
        stands_out = short / deviation
        if short < TIMES_WORST * worst * math.sqrt(expected) or stands_out < LEAST_DEVIATIONS:
            continue
        if found is None or stands_out > found[0]:
            missing = missing_about(short, deviation, count, from_payloads=True)
            found = stands_out, Fall(days[-count], short / expected, missing)
    return found[1] if found else None


def _deviation_and_worst(
    ran: Sequence[int], inside: Sequence[int], ratio: float, count: int
) -> tuple[float, float]:
    """How far so many days are off by chance, and the worst of the days before; in roots of what was expected.

    The more runs, the more it varies: so each day is measured by the root of what its payloads let expect.
    """
    least = LEAST_SCALE * ratio * sum(inside) / len(inside)
    scales = [math.sqrt(max(ratio * payload, least)) for payload in inside]
    off = [amount - ratio * payload for amount, payload in zip(ran, inside, strict=True)]
    fit = fit_of([amount / scale for amount, scale in zip(off, scales, strict=True)])
    worst = max(
        -sum(off[place : place + count]) / math.hypot(*scales[place : place + count])
        for place in range(max(1, len(off) - count + 1))
    )
    return fit.deviation(count) / math.sqrt(count), worst


def lately_lost(core_seconds: Mapping[date, int], until: date) -> float:
    """How many core hours a day fewer than in the weeks before there were in the last days; 0 where that is less than LEAST_FALL.

    A quick look that says where to look closely, for whatever reason it may be.
    """
    worst = 0.0
    for count in (LEAST_DAYS, WEEK_DAYS):
        recent = days_between(until - count * _DAY, until)
        before = days_between(recent[0] - RECENT_DAYS * _DAY, recent[0])
        now, then = (sum(core_seconds.get(day, 0) for day in days) / len(days) for days in (recent, before))
        if now < (1 - LEAST_FALL) * then:
            worst = max(worst, (then - now) / SECONDS_PER_HOUR)
    return worst


def _are_regular(batch: Sequence[int], payloads: Sequence[int]) -> bool:
    return _some_of(batch, REGULAR_PART) and _some_of(payloads, REGULAR_PART)


def _some_of(amounts: Sequence[int], part: float) -> bool:
    """Whether so many of them are not nothing."""
    return sum(amount > 0 for amount in amounts) >= part * len(amounts)
