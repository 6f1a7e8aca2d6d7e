"""Which grids a question counts, in words, and what its grid filter leaves out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.model import LOCAL_GRID
from gridkeeper.federation.spells import bearers
from gridkeeper.queries.answering import rows_of
from gridkeeper.queries.usage import Scope, conditions_of, levels_for
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

_NOTHING_LEFT_OUT = "any (none of these resources is in federation.yaml)"


@dataclass(frozen=True)
class LeftOut:
    """Usage that the federation's grid leaves out.

    grid:   the grid that it names; None: of a registered resource, and nothing says whose it is.
    amount: whole core seconds, or transfers where the question is of transfers.
    """

    grid: str | None
    resources: tuple[str, ...]
    amount: int


def in_words(books: Books, scope: Scope, table: str = "usage_daily_end") -> str:
    """Say which grids are counted in `scope`: of the data, since at resources that are not registered nothing is left out.

    Reads:  `table`, the resources whose usage is counted.
    Raises: LakeUnavailable (retryable).
    """
    if scope.grid is not None:
        return "all grids" if scope.grid == "any" else scope.grid
    if scope.source == "reported":
        return "any (as reported)"
    registry = books.registry
    names = set(bearers(registry))
    if not names:
        return _NOTHING_LEFT_OUT
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    rows, months = rows_of(table, (), scope, f"resource {conditions}")
    sql = f"SELECT DISTINCT resource FROM {rows} WHERE {conditions}"
    found = _select(books, scope, table, sql, parameters | months)
    counted = {row["resource"] for row in found}
    grid = registry.federation.grid
    registered = grid if grid.lower() == LOCAL_GRID.lower() else f"{grid}, without {LOCAL_GRID}"
    if not counted - names:
        return registered
    if not counted & names:
        return _NOTHING_LEFT_OUT
    return f"{registered}; any at resources that federation.yaml does not name"


def left_out(books: Books, scope: Scope, table: str = "usage_daily_end") -> tuple[LeftOut, ...]:
    """What the grid filter of `scope` leaves out of an answer from `table`, by the grid that it names.

    Returns: most first; nothing where `scope` names a grid, or of reported sums.
    Units:   whole core seconds; transfers of `transfers_daily`.
    Raises:  UserMistake (permanent), LakeUnavailable (retryable).
    """
    if scope.grid is not None or scope.source == "reported":
        return ()
    amount = "transfers" if SUMMARIES[table].transfers else "core_seconds"
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, replace(scope, grid="any"), table, parameters))
    source, months = rows_of(table, (), scope, f"grid resource in_grid {amount} {conditions}")
    sql = f"""
        SELECT grid, resource, CAST(SUM({amount}) AS BIGINT) AS amount FROM {source}
        WHERE {conditions} AND NOT in_grid GROUP BY grid, resource ORDER BY resource
    """
    rows = _select(books, scope, table, sql, parameters | months)
    found = []
    for grid in {row["grid"] for row in rows}:
        part = [row for row in rows if row["grid"] == grid]
        resources = tuple(row["resource"] for row in part if row["resource"])
        found.append(LeftOut(grid, resources, sum(row["amount"] or 0 for row in part)))
    return tuple(sorted(found, key=lambda one: (-one.amount, one.grid or "")))


def nameless(books: Books, scope: Scope, table: str = "usage_daily_end") -> LeftOut | None:
    """What `left_out` finds of which nothing says the grid: it is in no report until somebody says whose it is."""
    return next((one for one in left_out(books, scope, table) if one.grid is None), None)


def _select(
    books: Books, scope: Scope, table: str, sql: str, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    days = (scope.period.first, scope.period.until) if scope.period else None
    found = books.select(sql, days=days, tables=levels_for(books, scope, table), **parameters)
    return list(found.to_pylist())
