"""Usage by any dimensions: which table answers, what is counted, and the sums divided once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import WEEKDAYS
from gridkeeper.queries.measures import MEASURES, SUMS
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

CountLevel = Literal["batch", "payload", "all-records"]
Attribution = Literal["end", "overlap"]
UsageSource = Literal["jobs", "reported"]

DIMENSIONS = (
    "day", "week", "month", "resource", "site", "facility", "vo", "experiment", "project", "user", "probe", "resource_type", "queue",
    "processors", "gpu_model", "grid", "outcome", "level",
)  # fmt: skip
DEFAULT_MEASURES = ("jobs", "wall_hours", "core_hours")
_OF_PEOPLE = ("user", "project")
_FIRST_MONDAY = "DATE '1970-01-05'"


@dataclass(frozen=True)
class Scope:
    """What is counted.

    period:      None for all time.
    count_level: None for each resource's own level.
    grid:        None for the federation's grid (nothing is left out at resources the registry does not know);
                 "any" for all; else a grid's name.
    where:       (dimension, value) that rows must have; "" for what nothing says.
    """

    period: Period | None = None
    count_level: CountLevel | None = None
    grid: str | None = None
    attribution: Attribution = "end"
    source: UsageSource = "jobs"
    where: tuple[tuple[str, str], ...] = ()

    def described(self, federation_grid: str) -> dict[str, str]:
        """Say in words what is counted, for footnotes."""
        return {
            "attribution": self.attribution,
            "count_level": self.count_level or "each resource's own",
            "grid": {None: f"{federation_grid}, without Local", "any": "all grids"}.get(
                self.grid, self.grid or ""
            ),
            "source": self.source,
        }


@dataclass(frozen=True)
class Usage:
    """An answer: one dict a row (dimensions, then measures), and the statement behind it."""

    rows: list[dict[str, Any]]
    table: str
    sql: str
    scope: Scope
    versions: dict[str, int] = field(default_factory=dict)


def usage(
    books: Books, by: Sequence[str], measures: Sequence[str] = DEFAULT_MEASURES, scope: Scope | None = None
) -> Usage:
    """Answer: so much of each measure, by these dimensions.

    Reads:   the one summary that has the dimensions (`usage_daily_end`, `_overlap`, `_users`) or reported sums.
    Returns: rows ordered by their dimensions; measures unrounded, None where not defined.
    Raises:  UserMistake (permanent), LakeUnavailable (retryable).
    """
    scope = scope or Scope()
    table = _table(by, measures, scope)
    sums = list(
        dict.fromkeys(
            name
            for measure in measures
            for name in (MEASURES[measure].above, MEASURES[measure].below)
            if name
        )
    )
    sums = sums or ["records"]
    parameters: dict[str, Any] = {}
    conditions = conditions_of(books, scope, table, parameters)
    keys = [f"{_dimension(name, books)} AS {name}" for name in by]
    totals = [f"CAST({SUMS[name]} AS BIGINT) AS sum_{name}" for name in sums]
    sql = f"SELECT {', '.join([*keys, *totals])} FROM {table} WHERE {' AND '.join(conditions)}"
    if by:
        sql += f" GROUP BY {', '.join(str(place + 1) for place in range(len(by)))} ORDER BY {', '.join(f'{place + 1} NULLS LAST' for place in range(len(by)))}"
    days = (scope.period.first, scope.period.until) if scope.period else None
    found = books.select(sql, days=days, tables=_levels(books, scope, table), **parameters)
    return Usage(
        [_row(row, by, measures) for row in found.to_pylist()],
        table,
        sql,
        scope,
        books.versions_of(scope.source),
    )


def conditions_of(books: Books, scope: Scope, table: str, parameters: dict[str, Any]) -> list[str]:
    """The WHERE of a question in `scope`; puts its values into `parameters`. The statement may name payload_only."""
    conditions = [_level_condition(scope)]
    if scope.grid is None:
        conditions.append("in_grid")
    elif scope.grid != "any":
        conditions.append("LOWER(grid) = $grid")
        parameters["grid"] = scope.grid.lower()
    if scope.period:
        conditions.append("day >= $first AND day < $until")
        parameters |= {"first": scope.period.first, "until": scope.period.until}
    for number, (name, value) in enumerate(scope.where):
        if name not in DIMENSIONS:
            raise UserMistake(f"--where knows no dimension {name!r}; there are: {', '.join(DIMENSIONS)}")
        expression = _dimension(name, books)
        if value == "":
            conditions.append(f"{expression} IS NULL")
        else:
            conditions.append(f"LOWER(CAST({expression} AS VARCHAR)) = $where{number}")
            parameters[f"where{number}"] = value.lower()
    return conditions


def _level_condition(scope: Scope) -> str:
    if scope.count_level == "all-records":
        return "TRUE"
    if scope.count_level is not None:
        return f"level = '{scope.count_level}'"
    return "COALESCE(counted, level = 'batch' OR (level = 'payload' AND resource IN (SELECT resource FROM payload_only)))"


def _levels(books: Books, scope: Scope, table: str) -> dict[str, pa.Table]:
    return {"payload_only": payload_only(books, table)} if scope.count_level is None else {}


def payload_only(books: Books, table: str = "usage_daily_end") -> pa.Table:
    """The resources unknown to the registry of which only payloads are known: their payloads count.

    Returns: a table of one column, `resource`.
    """
    if table == "usage_reported_monthly":
        table = "usage_daily_end"
    sql = f"SELECT resource FROM {table} WHERE counted IS NULL AND resource IS NOT NULL GROUP BY resource HAVING MIN(CASE WHEN level = 'batch' THEN 0 ELSE 1 END) = 1"
    return books.select(sql)


def _table(by: Sequence[str], measures: Sequence[str], scope: Scope) -> str:
    """The one table that can answer. Raises: UserMistake (permanent) naming what does not go together."""
    for name, known, kind in [
        *((name, DIMENSIONS, "dimension") for name in by),
        *((name, tuple(MEASURES), "measure") for name in measures),
    ]:
        if name not in known:
            raise UserMistake(f"there is no {kind} {name!r}; there are: {', '.join(known)}")
    if len(set(by)) != len(by):
        raise UserMistake("a dimension is named twice")
    if scope.source == "reported":
        return "usage_reported_monthly"
    named = {*by, *(name for name, _ in scope.where)}
    if named & set(_OF_PEOPLE):
        if scope.attribution == "overlap":
            raise UserMistake(
                "users and projects are added up by end day only; leave out --attribution overlap"
            )
        table = "usage_daily_users"
    else:
        table = "usage_daily_end" if scope.attribution == "end" else "usage_daily_overlap"
    summary = SUMMARIES[table]
    columns = {*summary.keys, *summary.measures, "week", "month"}
    if missing := sorted(named - columns):
        raise UserMistake(
            f"{', '.join(sorted(named & set(_OF_PEOPLE)))} cannot be combined with {', '.join(missing)}"
        )
    for measure in measures:
        for part in (MEASURES[measure].above, MEASURES[measure].below):
            needed = [
                column
                for column in ("started_jobs", "active_jobs", "processors", "node_seconds", "energy_j")
                if part and column in SUMS[part]
            ]
            if any(column not in columns for column in needed):
                reason = (
                    "needs --attribution overlap"
                    if needed[0] in ("started_jobs", "active_jobs")
                    else "is not known by user or project"
                )
                raise UserMistake(f"the measure {measure} {reason}")
    if "active_jobs" in measures and "day" not in by:
        raise UserMistake("active_jobs are counted day by day; add `day` to --by")
    return table


def _dimension(name: str, books: Books) -> str:
    if name == "month":
        return "STRFTIME(day, '%Y-%m')"
    if name == "week":
        shift = WEEKDAYS.index(books.registry.federation.week_start)
        days = f"DATE_DIFF('day', {_FIRST_MONDAY}, day) - {shift}"
        return f"CAST(day - CAST((({days}) % 7 + 7) % 7 AS INTEGER) AS DATE)"
    return f'"{name}"'


def _row(row: dict[str, Any], by: Sequence[str], measures: Sequence[str]) -> dict[str, Any]:
    sums = {name.removeprefix("sum_"): value for name, value in row.items() if name.startswith("sum_")}
    return {name: row[name] for name in by} | {measure: MEASURES[measure].value(sums) for measure in measures}
