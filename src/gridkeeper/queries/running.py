"""Running cores: how many cores were in use, hour by hour, and which hours are still open."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, conditions_of
from gridkeeper.records.columns import DAY, WHOLE
from gridkeeper.summaries.sql import THOSE_THAT_END
from gridkeeper.summaries.tables import PLACE, WHOSE, Summary
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.queries.ledger import Tables
    from gridkeeper.summaries.books import Books

PERCENTILE = 0.95
SAMPLE_RECORDS = 200_000
_HOUR = timedelta(hours=1)


# How long jobs were, in whole hours rounded up: as fine as the hours that are open or closed.
_FACTS = {
    "end_day": "end_day",
    "njobs": "njobs",
    "length_hours": f"(wall_duration_s + {SECONDS_PER_HOUR - 1}) // {SECONDS_PER_HOUR}",
}
LENGTHS = Summary(
    "lengths", "How many jobs were how many hours long.", {"day": DAY, "length_hours": WHOLE} | PLACE | WHOSE, ("jobs",),
    "SELECT end_day AS day, part, CAST(length_hours AS BIGINT) AS length_hours, CAST(SUM(njobs) AS BIGINT) AS jobs FROM records GROUP BY ALL",
)  # fmt: skip


@dataclass(frozen=True)
class Lengths:
    """How long jobs are: 95 % of a VO's jobs are at most so many hours long.

    by_vo, overall: hours, rounded up; measured on a sample of whole days, `sampled` (jobs in it).
    known_until:    the moment until which the books can know anything: that of asking, or of the newest record's end.
    """

    by_vo: dict[str | None, int]
    overall: int
    sampled: Period | None
    jobs: int
    known_until: datetime

    def closed_until(self, vo: str | None, *, all_vos: bool = False) -> datetime:
        """The moment from which on hours are open: jobs that ran then may not have ended, or not been reported."""
        length = self.overall if all_vos else self.by_vo.get(vo, self.overall)
        return self.known_until - timedelta(hours=length)


@dataclass(frozen=True)
class Hour:
    """Cores in use in one hour (mean); open: it may still grow."""

    hour: datetime
    cores: float
    is_open: bool


@dataclass(frozen=True)
class DailyMean:
    """Cores in use on one day (mean of its 24 hours); open where one of them is."""

    day: date
    cores: float
    is_open: bool


@dataclass(frozen=True)
class Running:
    """Cores in use over a period.

    mean:            over the closed hours of which anything is known; None where there are none.
    lowest, highest: the least and greatest daily mean of days without open hours; None where there are none.
    length_hours:    the 95th percentile of job length that closed hours are older than.
    unknown_hours:   closed hours before the first record of all, of which nothing is known.
    """

    mean: float | None
    lowest: float | None
    highest: float | None
    open_hours: int
    length_hours: int
    days: tuple[DailyMean, ...]
    hours: tuple[Hour, ...]
    unknown_hours: int = 0


def job_lengths(books: Books, period: Period, as_of: datetime, tables: Tables) -> Lengths:
    """Measure how long jobs are, on the last days of `period` that hold SAMPLE_RECORDS records or a day.

    Reads:   `usage_records` of those days, mapped as summaries are; `usage_daily_end` to find them.
    Returns: lengths in whole hours, at each resource's own level, in the federation's grid.
    Raises:  LakeUnavailable (retryable).
    """
    known_until = _known_until(books, as_of)
    days = _sample_days(books, period)
    if not days:
        return Lengths({}, 0, None, 0, known_until)
    rows = books.of_records(LENGTHS, days, THOSE_THAT_END, _FACTS)
    parameters: dict[str, Any] = {}
    sampled = Period(min(days), max(days) + timedelta(days=1))
    conditions = " AND ".join(conditions_of(books, Scope(sampled), LENGTHS.name, parameters))
    found = books.select(
        f"""
        SELECT vo, length_hours, CAST(SUM(jobs) AS BIGINT) AS jobs FROM {LENGTHS.name}
        WHERE {conditions} GROUP BY vo, length_hours ORDER BY length_hours
        """,
        tables={**tables, LENGTHS.name: rows}, **parameters,
    ).to_pylist()  # fmt: skip
    by_vo: defaultdict[str | None, list[tuple[int, int]]] = defaultdict(list)
    for row in found:
        by_vo[row["vo"]].append((row["length_hours"], row["jobs"]))
    everything = [(row["length_hours"], row["jobs"]) for row in found]
    return Lengths(
        {vo: percentile(lengths) for vo, lengths in by_vo.items()}, percentile(everything), sampled, sum(jobs for _, jobs in everything), known_until
    )  # fmt: skip


def percentile(lengths: Iterable[tuple[int, int]], part: float = PERCENTILE) -> int:
    """The least length that `part` of the jobs do not exceed, of (length, jobs) pairs; 0 where there are none."""
    ordered = sorted(lengths)
    wanted = part * sum(jobs for _, jobs in ordered)
    seen = 0
    for length, jobs in ordered:
        seen += jobs
        if seen >= wanted:
            return length
    return 0


def _sample_days(books: Books, period: Period) -> list[date]:
    rows = books.select(
        """
        SELECT day, CAST(SUM(records) AS BIGINT) AS records FROM usage_daily_end
        WHERE day >= $first AND day < $until AND level IN ('batch', 'payload')
        GROUP BY day ORDER BY day DESC
        """,
        days=(period.first, period.until), first=period.first, until=period.until,
    ).to_pylist()  # fmt: skip
    days: list[date] = []
    records = 0
    for row in rows:
        if days and records + row["records"] > SAMPLE_RECORDS:
            break
        days.append(row["day"])
        records += row["records"]
    return days


def _known_until(books: Books, as_of: datetime) -> datetime:
    """The moment of asking, or the end of the newest record where that is earlier; in whole hours, rounded down."""
    newest = books.select(
        "SELECT MAX(day) AS day FROM usage_daily_end WHERE day <= $today AND level IN ('batch', 'payload')", today=as_of.date()
    ).to_pylist()[0]["day"]  # fmt: skip
    if newest is None:
        return as_of
    ended = books.select(
        "SELECT MAX(end_time) AS ended FROM usage_records WHERE end_day = $day", days=(newest, newest + timedelta(days=1)), day=newest
    ).to_pylist()[0]["ended"]  # fmt: skip
    moment = min(as_of, ended) if ended is not None else as_of
    return moment.replace(minute=0, second=0, microsecond=0)


def running_hours(books: Books, period: Period, tables: Tables) -> dict[str | None, dict[datetime, int]]:
    """Core seconds in each hour of `period`, by VO.

    Reads:   `running_hourly`, at each resource's own count level, in the federation's grid.
    Units:   whole core seconds; ÷ 3600 are the cores in use.
    Raises:  LakeUnavailable (retryable).
    """
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(
        conditions_of(books, Scope(period, attribution="overlap"), "running_hourly", parameters)
    )
    rows = books.select(
        f"""
        SELECT vo, hour, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM running_hourly WHERE {conditions} GROUP BY vo, hour
        """,
        days=(period.first, period.until), tables=tables, **parameters,
    )  # fmt: skip
    found: dict[str | None, dict[datetime, int]] = {}
    for vo, hour, seconds in zip(
        *(rows[name].to_pylist() for name in ("vo", "hour", "core_seconds")), strict=True
    ):
        found.setdefault(vo, {})[hour.replace(tzinfo=UTC)] = seconds
    return found


def known_from(books: Books) -> datetime | None:
    """The first hour in which any record of the books ran; of the time before nothing is known. None where there is no record.

    Raises: LakeUnavailable (retryable).
    """
    first = books.select("SELECT MIN(hour) AS hour FROM running_hourly").to_pylist()[0]["hour"]
    return None if first is None else first.replace(tzinfo=UTC)


def running(
    hours: dict[datetime, int],
    period: Period,
    closed_until: datetime,
    length_hours: int,
    since: datetime | None = None,
) -> Running:
    """Make mean and range of one VO's (or all) core seconds by hour. An hour with nothing in it counts as 0 cores.

    since: the hour before which nothing is known (known_from); such hours are in neither mean nor range.
    """
    first = datetime.combine(period.first, time(), UTC)
    made = tuple(
        Hour(hour, hours.get(hour, 0) / SECONDS_PER_HOUR, hour + _HOUR > closed_until)
        for hour in (first + number * _HOUR for number in range(24 * period.days))
    )
    days = tuple(
        DailyMean(day, sum(hour.cores for hour in part) / 24, any(hour.is_open for hour in part))
        for day, part in (
            (day, made[24 * number : 24 * number + 24]) for number, day in enumerate(period.dates())
        )
    )
    all_closed = [hour for hour in made if not hour.is_open]
    closed = [hour.cores for hour in all_closed if since is None or hour.hour >= since]
    means = [
        day.cores
        for day in days
        if not day.is_open and (since is None or datetime.combine(day.day, time(), UTC) >= since)
    ]
    return Running(
        sum(closed) / len(closed) if closed else None, min(means, default=None), max(means, default=None),
        len(made) - len(all_closed), length_hours, days, made, len(all_closed) - len(closed),
    )  # fmt: skip
