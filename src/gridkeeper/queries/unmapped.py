"""Usage that no rule maps to a VO: listed by resource with its hours, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.ledger import Sums, sums_of, totals
from gridkeeper.queries.usage import Scope, conditions_of

if TYPE_CHECKING:
    from gridkeeper.queries.ledger import Tables
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books


@dataclass(frozen=True)
class Unmapped:
    """Usage at one resource that no rule maps to a VO.

    in_totals: whether the report's totals hold it. At a resource that the registry knows, usage counts only
               when something says that the federation's grid ran it.
    """

    resource: str | None
    site: str | None
    in_totals: bool
    sums: Sums


def unmapped_usage(books: Books, period: Period, source: UsageSource, tables: Tables) -> tuple[Unmapped, ...]:
    """Find usage without a VO, except what a record or a rule gives to another grid (Local, most of all).

    Reads:   `usage_daily_end` (or `usage_reported_monthly`), at each resource's own count level.
    Returns: most core hours first, then by resource.
    Raises:  LakeUnavailable (retryable).
    """
    table = "usage_daily_end" if source == "jobs" else "usage_reported_monthly"
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(
        conditions_of(books, Scope(period, grid="any", source=source), table, parameters)
    )
    rows = books.select(
        f"""
        SELECT resource, site, in_grid, {totals()}
        FROM {table} WHERE {conditions} AND vo IS NULL AND (in_grid OR grid IS NULL)
        GROUP BY resource, site, in_grid
        """,
        days=(period.first, period.until), tables=tables, **parameters,
    ).to_pylist()  # fmt: skip
    found = [Unmapped(row["resource"], row["site"], row["in_grid"], sums_of(row)) for row in rows]
    return tuple(sorted(found, key=lambda one: (-one.sums.core_seconds, one.resource or "")))
