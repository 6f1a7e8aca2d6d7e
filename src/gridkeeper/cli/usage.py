"""`gridkeeper usage`: usage by any dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from gridkeeper.cli.output import Shape, complaints, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.errors import UserMistake
from gridkeeper.queries.measures import MEASURES
from gridkeeper.queries.periods import period_between
from gridkeeper.queries.usage import DEFAULT_MEASURES, DIMENSIONS, Scope
from gridkeeper.queries.usage import usage as ask

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

SourceName = Literal["jobs", "reported"]


_MEASURES = ",".join(DEFAULT_MEASURES)
ByOption = Annotated[str, typer.Option(help=f"Dimensions, comma-separated: {', '.join(DIMENSIONS)}.")]
MeasureOption = Annotated[str, typer.Option(help=f"Measures, comma-separated: {', '.join(MEASURES)}.")]
FirstOption = Annotated[str | None, typer.Option(help="First day, as 2017-01-31 (UTC).", show_default=False)]
UntilOption = Annotated[str | None, typer.Option(help="The day after the last one.", show_default=False)]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Only rows with this: vo=cms; vo= for what nothing maps. May be repeated.", show_default=False
    ),
]
LevelOption = Annotated[
    Literal["batch", "payload", "all-records"] | None,
    typer.Option(
        help="What to count: batch, payload or all-records. Else each resource's own level.",
        show_default=False,
    ),
]
GridOption = Annotated[
    str | None,
    typer.Option(
        help="A grid's name, or any. Else the federation's grid, without Local.", show_default=False
    ),
]
AttributionOption = Annotated[
    Literal["end", "overlap"],
    typer.Option(help="end: all on the day the job ended; overlap: split over the days it ran."),
]
SourceOption = Annotated[
    SourceName | None,
    typer.Option(
        help="jobs, or reported: sums that others made. Else jobs, where there are any.", show_default=False
    ),
]
ShapeOption = Annotated[Shape, typer.Option("--format", help="table, csv, json or parquet.")]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to a file.", show_default=False)
]


def usage(
    by: ByOption = "vo", measure: MeasureOption = _MEASURES, first: FirstOption = None, until: UntilOption = None,
    where: WhereOption = None, count_level: LevelOption = None, grid: GridOption = None, attribution: AttributionOption = "end",
    source: SourceOption = None, shape: ShapeOption = Shape.TABLE, output: OutputOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Say how much was used, by whom, where and when.

    Examples:

    gridkeeper usage --by vo,month --measure jobs,core_hours,efficiency

    gridkeeper usage --by day --where vo=cms --first 2017-01-31 --until 2017-02-07 --attribution overlap --format json
    """
    books = wired(home).books()
    conditions = tuple(_condition(text) for text in where or [])
    scope = Scope(
        period_between(first, until), count_level, grid, attribution, source_of(books, source), conditions
    )
    dimensions, measures = _names(by), _names(measure)
    answer = ask(books, dimensions, measures, scope)
    print_rows(answer.rows, [*dimensions, *measures], shape, output)
    if shape is Shape.TABLE and output is None:
        notes = "; ".join(
            f"{key.replace('_', ' ')}: {value}"
            for key, value in scope.described(books.registry.federation.grid).items()
        )
        complaints.print(f"{notes}; load {answer.versions['load_seq']}", style="dim", soft_wrap=True)


def source_of(books: Books, named: str | None) -> SourceName:
    """The source of a question: the one named, else jobs, else reported sums where a home holds nothing else (and say so)."""
    if named is not None:
        return cast("SourceName", named)
    if not books.holds("usage_records") and books.holds("usage_reported"):
        complaints.print(
            "this home holds only usage that others reported, so that is shown (--source reported)",
            style="dim",
            soft_wrap=True,
        )
        return "reported"
    return "jobs"


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _condition(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UserMistake(f"--where {text!r} says no value; write it as vo=cms")
    return name.strip(), value.strip()
