"""What the display shows: jobs, core hours, transfers and bytes of the last 24 complete hours, 30 days and 12 months.

Counted as the display of the Open Science Grid counted, so that its readers may compare: batch records of the
federation's grid; without sites called NONE, Generic or Obsolete, and without usage of no known VO, or of `other`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, conditions_of
from gridkeeper.records.columns import DAY, TIME
from gridkeeper.summaries.tables import PLACE, WHOSE, Summary
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridkeeper.summaries.books import Books

HOURS, DAYS, MONTHS = 24, 30, 12
LEFT_OUT_SITES = ("none", "generic", "obsolete")
LEFT_OUT_VOS = ("unknown", "other")
EXCLUSIONS = "batch level; without sites called NONE, Generic or Obsolete, and without usage of no known VO or of `other`"
_KEPT = f"""
    COALESCE(LOWER(site), '') NOT IN {LEFT_OUT_SITES} AND LOWER(vo) NOT IN {LEFT_OUT_VOS}
"""
_JOBS = Summary(
    "jobs_by_hour", "Jobs by the hour they ended.", {"day": DAY, "hour": TIME} | PLACE | WHOSE, ("jobs", "core_seconds"),
    """
        SELECT end_day AS day, hour, part, CAST(SUM(njobs) AS BIGINT) AS jobs, CAST(SUM(wall_s * processors) AS BIGINT) AS core_seconds
        FROM records GROUP BY ALL
    """,
)  # fmt: skip
_TRANSFERS = Summary(
    "transfers_by_hour", "Transfers by the hour they began.", {"day": DAY, "hour": TIME} | PLACE | WHOSE, ("transfers", "bytes"),
    """
        SELECT start_day AS day, hour, part, CAST(SUM(njobs) AS BIGINT) AS transfers, CAST(SUM(bytes) AS BIGINT) AS bytes
        FROM records GROUP BY ALL
    """,
    transfers=True,
)  # fmt: skip
_JOB_FACTS = {
    "end_day": "end_day",
    "hour": "DATE_TRUNC('hour', end_time)",
    "njobs": "njobs",
    "wall_s": "wall_duration_s",
    "processors": "processors",
}
_TRANSFER_FACTS = {
    "start_day": "start_day",
    "hour": "DATE_TRUNC('hour', start_time)",
    "njobs": "njobs",
    "bytes": "COALESCE(network_bytes, 0)",
}


@dataclass(frozen=True)
class Count:
    """What was done in one hour, day or month, or in all of them; None where no record of that kind is that old.

    Units: jobs, core seconds, transfers, bytes.
    """

    begins: datetime | date
    jobs: int | None = None
    core_seconds: int | None = None
    transfers: int | None = None
    bytes: int | None = None

    @property
    def core_hours(self) -> float | None:
        """Core hours = core seconds ÷ 3600."""
        return None if self.core_seconds is None else self.core_seconds / SECONDS_PER_HOUR


@dataclass(frozen=True)
class Display:
    """What the display shows, as known at `until`, the end of its last complete hour (UTC).

    hours, days, months: HOURS, DAYS and MONTHS of them, the oldest first; days and months end before the one of `until`.
    sites: with batch usage in the days shown; ces: the resources that it ran on.
    """

    until: datetime
    hours: tuple[Count, ...]
    days: tuple[Count, ...]
    months: tuple[Count, ...]
    sites: int
    ces: int


def display(books: Books, moment: datetime) -> Display:
    """Gather the display's figures up to the last complete hour before `moment`.

    Reads:  `usage_daily_end`, `transfers_daily`; for the hours, the records of two days.
    Units:  whole jobs, core seconds, transfers, bytes; a job counts when it ended, a transfer when it began.
    Raises: LakeUnavailable (retryable).
    """
    until = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    begun = _begun(books)
    days = Period(until.date() - timedelta(days=DAYS), until.date())
    this_month = until.date().replace(day=1)
    months = [_months_before(this_month, number) for number in range(MONTHS, 0, -1)]
    by_day = _by_day(books, Period(months[0], until.date()))
    by_hour = _by_hour(books, until)
    sites, ces = _places(books, days)
    return Display(
        until,
        tuple(begun.count(hour, [by_hour.get(hour)]) for hour in _hours(until)),
        tuple(begun.count(day, [by_day.get(day)]) for day in days.dates()),
        tuple(
            begun.count(
                first, [count for day, count in by_day.items() if first <= day < following], following
            )
            for first, following in zip(months, [*months[1:], this_month], strict=True)
        ),
        sites,
        ces,
    )


def total(counts: Sequence[Count]) -> Count:
    """All that is known of them, together; begins with the first."""

    def added(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return Count(counts[0].begins, *(added([getattr(count, name) for count in counts]) for name in _COUNTED))


_COUNTED = ("jobs", "core_seconds", "transfers", "bytes")


@dataclass(frozen=True)
class _Begun:
    """The first days of which the books know jobs, and transfers; what is older is not known."""

    jobs: date | None
    transfers: date | None

    def count(
        self, begins: datetime | date, parts: Sequence[Count | None], until: date | None = None
    ) -> Count:
        """What was done from `begins` on, of its parts: 0 where it is known that there was nothing."""
        day = begins.date() if isinstance(begins, datetime) else begins
        last = day if until is None else until - timedelta(days=1)
        values: dict[str, int] = {}
        for name in _COUNTED:
            first = self.jobs if name in ("jobs", "core_seconds") else self.transfers
            if first is not None and first <= last:
                values[name] = sum(getattr(part, name) or 0 for part in parts if part is not None)
        return Count(begins, **values)


def _begun(books: Books) -> _Begun:
    jobs, transfers = (
        books.select(f"SELECT MIN(day) AS day FROM {table}").to_pylist()[0]["day"]
        for table in ("usage_daily_end", "transfers_daily")
    )
    return _Begun(jobs, transfers)


def _months_before(first: date, number: int) -> date:
    months = first.year * 12 + first.month - 1 - number
    return date(months // 12, months % 12 + 1, 1)


def _conditions(books: Books, scope: Scope, table: str, parameters: dict[str, Any]) -> str:
    return " AND ".join([*conditions_of(books, scope, table, parameters), _KEPT])


def _by_day(books: Books, period: Period) -> Mapping[date, Count]:
    days = (period.first, period.until)
    parameters: dict[str, Any] = {}
    jobs = books.select(
        f"""
        SELECT day, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM usage_daily_end WHERE {_conditions(books, Scope(period, "batch"), "usage_daily_end", parameters)} GROUP BY day
        """,
        days=days, **parameters,
    )  # fmt: skip
    transfers = books.select(
        """
        SELECT day, CAST(SUM(transfers) AS BIGINT) AS transfers, CAST(SUM(bytes) AS BIGINT) AS bytes
        FROM transfers_daily WHERE day >= $first AND day < $until AND level = 'transfer' GROUP BY day
        """,
        days=days, first=period.first, until=period.until,
    )  # fmt: skip
    return _joined("day", jobs.to_pylist(), transfers.to_pylist())


def _hours(until: datetime) -> list[datetime]:
    return [until - timedelta(hours=number) for number in range(HOURS, 0, -1)]


def _by_hour(books: Books, until: datetime) -> Mapping[datetime, Count]:
    first = until - timedelta(hours=HOURS)
    days = [first.date(), until.date()]
    jobs = books.of_records(_JOBS, days, _within("end_time", first, until), _JOB_FACTS)
    transfers = books.of_records(_TRANSFERS, days, _within("start_time", first, until), _TRANSFER_FACTS)
    parameters: dict[str, Any] = {}
    conditions = _conditions(books, Scope(None, "batch"), _JOBS.name, parameters)
    counted = books.select(
        f"""
        SELECT hour, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {_JOBS.name} WHERE {conditions} GROUP BY hour
        """,
        tables={_JOBS.name: jobs}, **parameters,
    )  # fmt: skip
    moved = books.select(
        f"SELECT hour, CAST(SUM(transfers) AS BIGINT) AS transfers, CAST(SUM(bytes) AS BIGINT) AS bytes FROM {_TRANSFERS.name} WHERE level = 'transfer' GROUP BY hour",
        tables={_TRANSFERS.name: transfers},
    )
    return _joined("hour", counted.to_pylist(), moved.to_pylist())


def _within(column: str, first: datetime, until: datetime) -> str:
    def moment(value: datetime) -> str:
        return f"CAST('{value:%Y-%m-%d %H:%M:%S}+00:00' AS TIMESTAMP WITH TIME ZONE)"

    return f"SELECT * FROM usage_records WHERE {column} >= {moment(first)} AND {column} < {moment(until)}"


def _joined(key: str, *parts: list[dict[str, Any]]) -> dict[Any, Count]:
    found: dict[Any, dict[str, Any]] = {}
    for rows in parts:
        for row in rows:
            found.setdefault(row[key], {}).update(row)
    return {
        begins: Count(begins, **{name: value for name, value in row.items() if name != key})
        for begins, row in found.items()
    }


def _places(books: Books, period: Period) -> tuple[int, int]:
    parameters: dict[str, Any] = {}
    conditions = _conditions(books, Scope(period, "batch"), "usage_daily_end", parameters)
    (row,) = books.select(
        f"SELECT COUNT(DISTINCT site) AS sites, COUNT(DISTINCT resource) AS ces FROM usage_daily_end WHERE {conditions}",
        days=(period.first, period.until), **parameters,
    ).to_pylist()  # fmt: skip
    return row["sites"], row["ces"]
