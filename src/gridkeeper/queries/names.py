"""The values that a dimension has in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.queries.usage import dimension as expression_of
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

_TABLES = ("usage_daily_brief", "usage_daily_users", "transfers_daily")


def names_of(books: Books, dimension: str) -> list[Any]:
    """Every value of a dimension, of any day, level and grid, in order; what is not known has no name.

    Reads:  the summaries that have the dimension.
    Raises: LakeUnavailable (retryable).
    """
    if dimension == ESTIMATED:
        return [False, True] if books.has_estimates else [False]
    found: set[Any] = set()
    of_kind = (
        dimension in SUMMARIES["usage_daily_end"].keys
        and dimension not in SUMMARIES["usage_daily_brief"].keys
    )
    for table in (*_TABLES, *(["usage_monthly_end"] if of_kind else [])):
        if dimension in SUMMARIES[table].keys or dimension in ("week", "month"):
            rows = books.select(f"SELECT DISTINCT {expression_of(dimension, books)} AS name FROM {table}")
            found.update(rows["name"].to_pylist())
    return sorted(found - {None})
