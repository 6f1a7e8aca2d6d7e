"""Sources that stopped reporting: silent for much longer than they usually are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from gridkeeper.queries.periods import Period
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

LOOK_BACK_DAYS = 56
CANDIDATE_DAYS = 28
LEAST_DAYS = 3
LEAST_SILENCE_DAYS = 2
TIMES_USUAL = 3
# Each source and level: its first and last day, on how many days it had records, the gap that nine of ten do not exceed,
# and its core seconds before its last day, which may not be over.
_SOURCES = """
    WITH days AS (
        SELECT probe, resource, level, day, SUM(CASE WHEN in_grid THEN core_seconds ELSE 0 END) AS core_seconds
        FROM usage_daily_end
        WHERE day >= $first AND day < $until AND level IN ('batch', 'payload')
        GROUP BY probe, resource, level, day
    ),
    gaps AS (
        SELECT *, DATE_DIFF('day', LAG(day) OVER (PARTITION BY probe, resource, level ORDER BY day), day) - 1 AS gap,
               MAX(day) OVER (PARTITION BY probe, resource, level) AS last_day
        FROM days
    )
    SELECT probe, resource, level, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) AS days,
           PERCENTILE_DISC(0.9) WITHIN GROUP (ORDER BY gap) AS usual_gap,
           CAST(SUM(CASE WHEN day < last_day THEN core_seconds ELSE 0 END) AS BIGINT) AS core_seconds
    FROM gaps GROUP BY probe, resource, level
"""


@dataclass(frozen=True)
class Silent:
    """A source of one level that stopped.

    last_day:            the day its last record ended.
    silent_days:         whole days since, up to the period's end (or the moment of asking).
    usual_gap_days:      days without records between days with some, that nine of ten of its gaps do not exceed.
    core_hours_a_day:    what it usually reported a day, in the federation's grid: mean of the days before its last.
    other_level_goes_on: records of the other level at the same resource came after its last day.
    probe_goes_on:       the same probe reported other resources after its last day.
    """

    probe: str | None
    resource: str | None
    level: str
    last_day: date
    silent_days: int
    usual_gap_days: int
    core_hours_a_day: float
    other_level_goes_on: bool
    probe_goes_on: bool

    @property
    def missing_core_hours(self) -> float:
        """What is missing, approximately: as much as usual for every silent day."""
        return self.core_hours_a_day * self.silent_days


def silent_sources(books: Books, period: Period, as_of: datetime) -> list[Silent]:
    """Find the probes and resources that reported lately and then stopped.

    Reads:   `usage_daily_end` of LOOK_BACK_DAYS days, each level (batch, payload) for itself, whatever the grid.
    Returns: sources with records on LEAST_DAYS days or more, whose last day lies in the period or at most
             CANDIDATE_DAYS before it, silent for more than LEAST_SILENCE_DAYS and TIMES_USUAL times their usual
             longest gap; the most missing core hours first.
    Raises:  LakeUnavailable (retryable).
    """
    until = min(period.until, as_of.date())
    window = Period(
        min(until - timedelta(days=LOOK_BACK_DAYS), period.first - timedelta(days=CANDIDATE_DAYS)), until
    )
    rows = books.select(
        _SOURCES,
        days=(window.first, window.until), first=window.first, until=window.until,
    ).to_pylist()  # fmt: skip
    last_of_level: dict[tuple[str | None, str], date] = {}
    last_of_probe: dict[str | None, date] = {}
    for row in rows:
        at = row["resource"], row["level"]
        last_of_level[at] = max(row["last_day"], last_of_level.get(at, date.min))
        last_of_probe[row["probe"]] = max(row["last_day"], last_of_probe.get(row["probe"], date.min))
    found = []
    for row in rows:
        last, usual = row["last_day"], int(row["usual_gap"] or 0)
        silent = (until - last).days - 1
        if (
            row["days"] < LEAST_DAYS
            or last < period.first - timedelta(days=CANDIDATE_DAYS)
            or silent <= max(LEAST_SILENCE_DAYS, TIMES_USUAL * usual)
        ):
            continue
        other = "payload" if row["level"] == "batch" else "batch"
        found.append(
            Silent(
                row["probe"], row["resource"], row["level"], last, silent, usual,
                row["core_seconds"] / SECONDS_PER_HOUR / (last - row["first_day"]).days,
                last_of_level.get((row["resource"], other), date.min) > last,
                row["probe"] is not None and last_of_probe[row["probe"]] > last,
            )
        )  # fmt: skip
    return sorted(
        found,
        key=lambda source: (
            -source.missing_core_hours,
            source.resource or "",
            source.probe or "",
            source.level,
        ),
    )
