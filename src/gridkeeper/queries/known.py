"""What the books know of a question that found nothing: its values, and the days of which there are records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.near_names import MOST_NEAREST, nearest
from gridkeeper.queries.answering import REPORTED, in_months
from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import UsageSource, dimension, wanted

if TYPE_CHECKING:
    from gridkeeper.queries.usage import Scope
    from gridkeeper.summaries.books import Books

# Of these every value may be asked: the books' days are not names that could be misspelt.
_OF_TIME = ("day", "week", "month")


@dataclass(frozen=True)
class Unknown:
    """A value that no record has.

    nearest:   values that some have, nearest first; all of them where they are few.
    any_known: whether any record has any value.
    """

    dimension: str
    value: str
    nearest: tuple[str, ...]
    any_known: bool


def unknown_values(books: Books, scope: Scope, table: str) -> tuple[Unknown, ...]:
    """The values of `scope` (conditions and grid) that no row of `table` has, of any day, level and grid.

    Raises: UserMistake (permanent), LakeUnavailable (retryable).
    """
    asked = {name: values for name, values in wanted(scope).items() if name not in _OF_TIME}
    if scope.grid not in (None, "any"):
        asked.setdefault("grid", []).append(str(scope.grid))
    found = []
    for name, values in asked.items():
        rows = books.select(
            f"SELECT DISTINCT CAST({dimension(name, books)} AS VARCHAR) AS value FROM {in_months(table)}"
        )
        known = [value for value in rows["value"].to_pylist() if value is not None]
        by_name = {value.lower(): value for value in known}
        found += [
            Unknown(name, value, _nearest(value.lower(), by_name), bool(known))
            for value in values
            if value and value.lower() not in by_name
        ]
    return tuple(found)


def _nearest(value: str, known: dict[str, str]) -> tuple[str, ...]:
    if len(known) <= MOST_NEAREST:
        return tuple(sorted(known.values()))
    return tuple(nearest(value, known.values()))


def days_known(
    books: Books, source: UsageSource = "jobs", within: Period | None = None, table: str | None = None
) -> Period | None:
    """From the first to the last day of which there are records (of any grid and level); None where there are none.

    within: only of these days.
    table:  the summary to look into; else that of `source`.
    Raises: LakeUnavailable (retryable).
    """
    table = table or (REPORTED if source == "reported" else "usage_daily_end")
    parameters: dict[str, Any] = {}
    condition = "TRUE"
    if within is not None:
        condition = "day >= $first AND day < $until"
        parameters = {"first": within.first, "until": within.until}
    days = (within.first, within.until) if within else None
    sql = f"SELECT MIN(day) AS first, MAX(day) AS last FROM {table} WHERE {condition}"
    (row,) = books.select(sql, days=days, **parameters).to_pylist()
    return None if row["first"] is None else Period(row["first"], row["last"] + timedelta(days=1))
