"""How the Site-VO matrix is laid out: its columns, a row for each site, and the three rows below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gridkeeper.queries.site_vo import Matrix, Row, change
from gridkeeper.reports.wording import NOT_AVAILABLE, hours

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.monitoring.coverage import Coverage
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.reports.coverage_table import Table

Value = str | float | None
MOST_ON_PAPER = 14  # columns beside the site on a landscape A4


@dataclass(frozen=True)
class Column:
    """One column: its heading, what it holds, and the VO where it is one's."""

    heading: str
    kind: Literal["site", "hours", "ratio", "change"]
    vo: str | None = None


@dataclass(frozen=True)
class Sheet:
    """The matrix as rows of cells: None where there is no record, N/A where a figure is not defined.

    rows: one per site. foot: total, the period before, the change.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    foot: tuple[tuple[Value, ...], ...]

    @property
    def on_paper(self) -> list[list[int]]:
        """Which columns stand side by side on one printed sheet: the site first on each, then as many as can be read."""
        places = range(1, len(self.columns))
        # The other VOs begin a sheet of their own, unless all fits on one.
        turn = next((place for place in places if self.columns[place].kind == "change"), len(places)) + 1
        runs = [places] if len(places) <= MOST_ON_PAPER else [places[: turn - 1], places[turn - 1 :]]
        return [
            [0, *run[start : start + MOST_ON_PAPER]]
            for run in runs
            for start in range(0, len(run), MOST_ON_PAPER)
        ]


@dataclass(frozen=True)
class Content:
    """All that the report says.

    coverage: how well the sources covered its numbers; None of sums that others reported.
    covered:  the same as a line for each site, then all together, now and in the period before.
    about: keyword → sentence, for whom the numbers alone are not enough.
    """

    title: str
    federation: str
    invented: str | None
    matrix: Matrix
    sheet: Sheet
    coverage: Coverage | None
    covered: Table
    trace: Trace
    about: Mapping[str, str]
    request: Request

    @property
    def as_of(self) -> datetime:
        """The moment of asking (UTC)."""
        return self.request.as_of


def sheet_of(matrix: Matrix) -> Sheet:
    """Lay the matrix out: which columns, and every cell in hours or as a ratio."""
    word = "Month" if matrix.period.is_month else "Period"
    columns = (
        Column("Site", "site"),
        Column("Total", "hours"),
        *(Column(vo, "hours", vo) for vo in matrix.opportunistic),
        Column("Opportunistic Total", "hours"),
        Column("Percent Opportunistic", "ratio"),
        Column(f"Prev. {word} Opp. Total", "hours"),
        Column(f"Percentage Change {word}-{word}", "change"),
        *(Column(vo, "hours", vo) for vo in matrix.others),
    )
    now, before = bool(matrix.all.now), bool(matrix.all.before)
    rows = tuple(_cells(matrix, row, None, now=now, before=before) for row in matrix.rows)
    total = _cells(matrix, matrix.all, 0, now=now, before=before)
    return Sheet(
        columns,
        rows,
        (
            total,
            _before_cells(matrix, f"Prev. {word} Total"),
            _change_cells(matrix, f"Percent Change over Prev. {word}"),
        ),
    )


def _cells(matrix: Matrix, row: Row, nothing: int | None, *, now: bool, before: bool) -> tuple[Value, ...]:
    """One site, or all; `nothing` stands where a VO has no record; no figure of a period without any record."""

    def of(vos: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(hours(row.now.get(vo, nothing)) if now else _defined(None) for vo in vos)

    return (
        row.name,
        _defined(hours(row.total) if now else None),
        *of(matrix.opportunistic),
        _defined(hours(row.opportunistic) if now else None),
        _defined(row.opportunistic_ratio),
        _defined(hours(row.before_opportunistic) if before else None),
        _defined(row.change_ratio if now else None),
        *of(matrix.others),
    )


def _before_cells(matrix: Matrix, name: str) -> tuple[Value, ...]:
    row = matrix.all

    def value(seconds: int) -> Value:
        return _defined(hours(seconds) if row.before else None)

    return (
        name,
        value(row.before_total),
        *(value(row.before.get(vo, 0)) for vo in matrix.opportunistic),
        value(row.before_opportunistic),
        _defined(row.before_opportunistic_ratio),
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        *(value(row.before.get(vo, 0)) for vo in matrix.others),
    )


def _change_cells(matrix: Matrix, name: str) -> tuple[Value, ...]:
    row = matrix.all

    def value(old: int, new: int) -> Value:
        return _defined(change(old, new) if row.now else None)

    def of(vos: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(value(row.before.get(vo, 0), row.now.get(vo, 0)) for vo in vos)

    return (
        name,
        value(row.before_total, row.total),
        *of(matrix.opportunistic),
        value(row.before_opportunistic, row.opportunistic),
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        NOT_AVAILABLE,
        *of(matrix.others),
    )


def _defined(value: float | None) -> Value:
    return NOT_AVAILABLE if value is None else value
