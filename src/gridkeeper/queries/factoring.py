"""Joins the factors of resources by date to the rows of a summary, and says which share of core hours has which kind of factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.federation import factors
from gridkeeper.queries.measures import MEASURES, OF_FACTORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.factors import Factors
    from gridkeeper.federation.model import Registry
    from gridkeeper.summaries.books import Books

_KINDS = {"hepscore": factors.benchmarks, "carbon": factors.powers}
_SCHEMA = pa.schema(
    {"resource": pa.string(), "first": pa.date32(), "until": pa.date32(), "millionths": pa.int64()}
)


@dataclass(frozen=True)
class Share:
    """How the core seconds of an answer are factored, for one kind of factor (`hepscore` or `carbon`).

    of_default, without: those on the federation's default, and those of resources and days that have no factor at all;
                         these are in no product.
    """

    kind: str
    core_seconds: int
    of_default: int
    without: int

    def sentence(self) -> str:
        """What a reader must know of it; empty where every resource has a factor of its own."""
        said = []
        if self.of_default:
            said.append(
                f"{_percent(self.of_default, self.core_seconds)} of the core hours on the default factor"
            )
        if self.without:
            said.append(
                f"{_percent(self.without, self.core_seconds)} of the core hours without a factor, left out"
            )
        return f"{self.kind}: {'; '.join(said)}" if said else ""


def _percent(part: int, whole: int) -> str:
    """A share with one decimal; what is not 0 is not printed as 0, nor what is not all as all."""
    share = 100 * part / whole
    if share < 0.05:
        return "<0.1 %"
    return ">99.9 %" if part < whole and share >= 99.95 else f"{share:.1f} %"


def kinds_of(measures: Iterable[str]) -> tuple[str, ...]:
    """The kinds of factors that some measures are made with."""
    sums = {
        name for measure in measures for name in (MEASURES[measure].above, MEASURES[measure].below) if name
    }
    return tuple(kind for kind in _KINDS if sums & OF_FACTORS[kind])


def factored(table: str, kinds: Iterable[str], registry: Registry) -> tuple[str, dict[str, pa.Table]]:
    """A summary with the factors of each row's resource and day.

    Returns: what stands behind FROM: the table, with `<kind>_millionths` (null: no factor) and `<kind>_is_default`; and
             the tables in memory that it names. A month's reported sums take the factor of the month's first day.
    """
    columns, joins, tables = [], [], {}
    for kind in kinds:
        found = _KINDS[kind](registry)
        name = f"{kind}_factors"
        tables[name] = _table(found)
        default = "NULL" if found.default is None else str(found.default)
        columns.append(f"COALESCE({name}.millionths, CAST({default} AS BIGINT)) AS {kind}_millionths")
        columns.append(f"{name}.millionths IS NULL AS {kind}_is_default")
        joins.append(
            f"LEFT JOIN {name} ON {name}.resource = summed.resource AND {name}.first <= summed.day AND summed.day < {name}.until"
        )
    if not tables:
        return table, {}
    return (
        f"(SELECT summed.*, {', '.join(columns)} FROM {table} AS summed {' '.join(joins)}) AS factored",
        tables,
    )


def _table(found: Factors) -> pa.Table:
    rows = [
        {"resource": one.resource, "first": one.first, "until": one.until, "millionths": one.millionths}
        for one in found.spans
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def shares(
    books: Books,
    table: str,
    kinds: Iterable[str],
    conditions: str,
    tables: dict[str, pa.Table],
    days: Any,
    **parameters: Any,
) -> tuple[Share, ...]:
    """How the core hours of a question are factored.

    Reads:  `table` under the conditions of the question.
    Units:  whole core seconds.
    Raises: LakeUnavailable (retryable).
    """
    found = []
    for kind in kinds:
        source, factors_of = factored(table, (kind,), books.registry)
        sql = f"""
            SELECT CAST(COALESCE(SUM(core_seconds), 0) AS BIGINT) AS core_seconds,
                   CAST(COALESCE(SUM(CASE WHEN {kind}_is_default AND {kind}_millionths IS NOT NULL THEN core_seconds END), 0) AS BIGINT) AS of_default,
                   CAST(COALESCE(SUM(CASE WHEN {kind}_millionths IS NULL THEN core_seconds END), 0) AS BIGINT) AS without
            FROM {source} WHERE {conditions}
        """
        (row,) = books.select(sql, days=days, tables=tables | factors_of, **parameters).to_pylist()
        found.append(Share(kind, row["core_seconds"], row["of_default"], row["without"]))
    return tuple(found)
