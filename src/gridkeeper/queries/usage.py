"""Usage by any dimensions: what is counted, and the sums divided once."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import WEEKDAYS
from gridkeeper.queries.answering import DIMENSIONS, in_months, known_by_month, rows_of, table_of, type_of
from gridkeeper.queries.factoring import Share, factored, kinds_of, shares
from gridkeeper.queries.influence import NO_INFLUENCE, Influence, influence
from gridkeeper.queries.measures import MEASURES, sum_in, sum_type
from gridkeeper.queries.periods import parse_day, parse_month, week_of
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

CountLevel = Literal["batch", "payload", "all-records"]
Attribution = Literal["end", "overlap"]
UsageSource = Literal["jobs", "reported"]

DEFAULT_MEASURES = ("jobs", "wall_hours", "core_hours")
# Months are grouped by their first day, which is a third of the work that their names are.
_FIRST_OF_MONTH = "CAST(day - CAST(EXTRACT(DAY FROM day) - 1 AS INTEGER) AS DATE)"
_FIRST_MONDAY = "DATE '1970-01-05'"


@dataclass(frozen=True)
class Scope:
    """What is counted.

    period:      None for all time.
    count_level: None for each resource's own level.
    grid:        None for the federation's grid (nothing is left out at resources the registry does not know);
                 "any" for all; else a grid's name.
    where:       (dimension, value) that rows must have; "" for what nothing says. Of several values of one dimension
                 rows must have one.
    """

    period: Period | None = None
    count_level: CountLevel | None = None
    grid: str | None = None
    attribution: Attribution = "end"
    source: UsageSource = "jobs"
    where: tuple[tuple[str, str], ...] = ()

    def described(self, grids: str) -> dict[str, str]:
        """Say in words what is counted, for footnotes. grids: what grids.in_words says."""
        return {
            "attribution": self.attribution,
            "count_level": self.count_level or "each resource's own",
            "grid": grids,
            "source": self.source,
        }


@dataclass(frozen=True)
class Usage:
    """An answer: one dict a row (dimensions, then measures), their types, and the statement behind it.

    factors: of measures that are made with factors: which share of the core hours has which kind of factor.
    influence: the corrections in force that touch its period, and what they estimate of it.
    """

    rows: list[dict[str, Any]]
    table: str
    sql: str
    scope: Scope
    schema: pa.Schema
    versions: dict[str, int] = field(default_factory=dict)
    factors: tuple[Share, ...] = ()
    influence: Influence = NO_INFLUENCE


def usage(
    books: Books, by: Sequence[str], measures: Sequence[str] = DEFAULT_MEASURES, scope: Scope | None = None
) -> Usage:
    """Answer: so much of each measure, by these dimensions.

    Reads:   the one summary that has the dimensions and measures (`usage_daily_end`, `_overlap`, `_users`,
             `transfers_daily`), where it can its whole months from the monthly one; or reported sums.
    Returns: rows ordered by their dimensions; measures unrounded, None where not defined.
    Raises:  UserMistake (permanent), LakeUnavailable (retryable).
    """
    scope = scope or Scope()
    table = table_of(by, measures, scope)
    sums = list(
        dict.fromkeys(
            name
            for measure in measures
            for name in (MEASURES[measure].above, MEASURES[measure].below)
            if name
        )
    )
    parameters: dict[str, Any] = {}
    conditions = conditions_of(books, scope, table, parameters)
    keys = [f"{_FIRST_OF_MONTH if name == 'month' else dimension(name, books)} AS {name}" for name in by]
    totals = [f"CAST({sum_in(table, name)} AS {sum_type(name)}) AS sum_{name}" for name in sums]
    kinds = kinds_of(measures)
    rows, factors = factored(table, kinds, books.registry)
    months: dict[str, date] = {}
    if not kinds:  # a factor changes on a day, so only days will do
        rows, months = rows_of(table, by, scope, " ".join([*keys, *totals, *conditions]))
    sql = f"SELECT {', '.join([*keys, *totals])} FROM {rows} WHERE {' AND '.join(conditions)}"
    if by:
        sql += f" GROUP BY {', '.join(str(place + 1) for place in range(len(by)))} ORDER BY {', '.join(f'{place + 1} NULLS LAST' for place in range(len(by)))}"
    days = (scope.period.first, scope.period.until) if scope.period else None
    levels = levels_for(books, scope, table)
    found = books.select(sql, days=days, tables=levels | factors, **parameters, **months)
    return Usage(
        [_row(row, by, measures) for row in found.to_pylist()],
        table,
        sql,
        scope,
        pa.schema([*((name, type_of(name)) for name in by), *((name, _type_of(name)) for name in measures)]),
        books.versions_of(scope.source),
        shares(books, table, kinds, " AND ".join(conditions), levels, days, **parameters),
        influence(books, table, scope.period, " AND ".join(conditions), levels, parameters),
    )


def influence_in(books: Books, scope: Scope, table: str) -> Influence:
    """The corrections in force that touch what is counted in `scope`, and what they estimate of it. Raises: LakeUnavailable (retryable)."""
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    return influence(books, table, scope.period, conditions, levels_for(books, scope, table), parameters)


def _type_of(measure: str) -> pa.DataType:
    return pa.int64() if MEASURES[measure].is_whole else pa.float64()


def conditions_of(books: Books, scope: Scope, table: str, parameters: dict[str, Any]) -> list[str]:
    """The WHERE of a question in `scope`; puts its values into `parameters`. The statement may name payload_only.

    Raises: UserMistake (permanent) for values that no row can have, and for parts of months of reported sums.
    """
    if scope.source == "reported":
        known_by_month(scope.period)
    conditions = [_level_condition(scope, table)]
    if scope.grid is None:
        conditions.append("in_grid")
    elif scope.grid != "any":
        conditions.append("LOWER(grid) = $grid")
        parameters["grid"] = scope.grid.lower()
    if scope.period:
        conditions.append("day >= $first AND day < $until")
        parameters |= {"first": scope.period.first, "until": scope.period.until}
    for number, (name, values) in enumerate(wanted(scope).items()):
        conditions.append(_one_of(name, values, f"where{number}", books, parameters))
    return conditions


def wanted(scope: Scope) -> dict[str, list[str]]:
    """The values of each dimension of `where`, of which rows must have one."""
    found: dict[str, list[str]] = {}
    for name, value in scope.where:
        found.setdefault(name, []).append(value)
    return found


def _one_of(name: str, values: Iterable[str], prefix: str, books: Books, parameters: dict[str, Any]) -> str:
    if name not in DIMENSIONS:
        raise UserMistake(f"--where knows no dimension {name!r}; there are: {', '.join(DIMENSIONS)}")
    expression = dimension(name, books)
    either = []
    for number, value in enumerate(dict.fromkeys(values)):
        if value == "":
            either.append(f"{expression} IS NULL")
            continue
        either.append(f"LOWER(CAST({expression} AS VARCHAR)) = ${prefix}_{number}")
        parameters[f"{prefix}_{number}"] = _said(name, value, books)
    return f"({' OR '.join(either)})"


def _said(name: str, value: str, books: Books) -> str:
    """A value as its dimension writes it. Raises: UserMistake (permanent) for what it can never have."""
    match name:
        case "day":
            return parse_day(value).isoformat()
        case "month":
            return f"{parse_month(value).first:%Y-%m}"
        case "week":
            start = books.registry.federation.week_start
            week = week_of(parse_day(value), start)
            if week.first != parse_day(value):
                raise UserMistake(
                    f"--where week={value} is no first day of a week: weeks begin on {start.capitalize()} here; "
                    f"that day lies in week={week.first}"
                )
            return week.first.isoformat()
        case "processors":
            if not value.isdecimal():
                raise UserMistake(f"--where processors={value} is no whole number; write it as processors=8")
            return str(int(value))
        case "transfer_is_write" | "estimated":
            if value.lower() not in ("true", "false"):
                raise UserMistake(f"--where {name}={value} is neither true nor false")
    return value.lower()


def _level_condition(scope: Scope, table: str) -> str:
    if scope.count_level == "all-records" or _is_of_transfers(table):
        return "TRUE"
    if scope.count_level is not None:
        return f"level = '{scope.count_level}'"
    return "COALESCE(counted, level = 'batch' OR (level = 'payload' AND resource IN (SELECT resource FROM payload_only)))"


def _is_of_transfers(table: str) -> bool:
    return table in SUMMARIES and SUMMARIES[table].transfers


def levels_for(books: Books, scope: Scope, table: str) -> dict[str, pa.Table]:
    """The table that the conditions of `scope` name, where they do."""
    needed = scope.count_level is None and not _is_of_transfers(table)
    return {"payload_only": payload_only(books, table)} if needed else {}


def payload_only(books: Books, table: str = "usage_daily_end") -> pa.Table:
    """The resources unknown to the registry of which only payloads are known: their payloads count.

    Returns: a table of one column, `resource`.
    """
    if table == "usage_reported_monthly":
        table = "usage_daily_end"
    sql = f"SELECT resource FROM {in_months(table)} WHERE counted IS NULL AND resource IS NOT NULL GROUP BY resource HAVING MIN(CASE WHEN level = 'batch' THEN 0 ELSE 1 END) = 1"
    return books.select(sql)


def dimension(name: str, books: Books) -> str:
    """The expression of a dimension over a summary's rows."""
    if name == "month":
        return "STRFTIME(day, '%Y-%m')"
    if name == "week":
        shift = WEEKDAYS.index(books.registry.federation.week_start)
        days = f"DATE_DIFF('day', {_FIRST_MONDAY}, day) - {shift}"
        return f"CAST(day - CAST((({days}) % 7 + 7) % 7 AS INTEGER) AS DATE)"
    if name == ESTIMATED and not books.has_estimates:
        return "FALSE"
    return f'"{name}"'


def _row(row: dict[str, Any], by: Sequence[str], measures: Sequence[str]) -> dict[str, Any]:
    sums = {
        name.removeprefix("sum_"): int(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
        if name.startswith("sum_")
    }
    names = {name: f"{row[name]:%Y-%m}" if name == "month" else row[name] for name in by}
    return names | {measure: MEASURES[measure].value(sums) for measure in measures}
