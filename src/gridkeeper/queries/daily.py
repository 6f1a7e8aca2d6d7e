"""Usage by VO and day, for plots of a period and some weeks before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, conditions_of
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridkeeper.queries.ledger import Tables
    from gridkeeper.summaries.books import Books

LEAST_DAYS = 28


@dataclass(frozen=True)
class DayUse:
    """One VO's wall hours of one day; vo None: no rule maps it."""

    day: date
    vo: str | None
    wall_hours: float


def weeks_until(period: Period) -> Period:
    """The period itself, and days before it to make LEAST_DAYS at least."""
    return Period(min(period.first, period.until - timedelta(days=LEAST_DAYS)), period.until)


def daily_wall_hours(books: Books, period: Period, tables: Tables) -> list[DayUse]:
    """Wall hours by VO and day a job ended.

    Reads:   `usage_daily_end`, at each resource's own count level, in the federation's grid.
    Returns: by day, then VO; days without usage have no row.
    Units:   wall hours = wall seconds ÷ 3600, not multiplied by processors.
    Raises:  LakeUnavailable (retryable).
    """
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, Scope(period), "usage_daily_end", parameters))
    rows = books.select(
        f"""
        SELECT day, vo, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds
        FROM usage_daily_end WHERE {conditions} GROUP BY day, vo ORDER BY day, vo NULLS LAST
        """,
        days=(period.first, period.until), tables=tables, **parameters,
    ).to_pylist()  # fmt: skip
    return [DayUse(row["day"], row["vo"], row["wall_seconds"] / SECONDS_PER_HOUR) for row in rows]
