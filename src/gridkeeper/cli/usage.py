"""`gridkeeper usage`: usage by any dimensions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from gridkeeper.cli.nothing import amount, say_why
from gridkeeper.cli.output import Shape, as_json, complaints, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.errors import UserMistake
from gridkeeper.queries.answering import DIMENSIONS
from gridkeeper.queries.grids import LeftOut, in_words, left_out
from gridkeeper.queries.measures import MEASURES, OF_TRANSFERS
from gridkeeper.queries.periods import period_between
from gridkeeper.queries.usage import DEFAULT_MEASURES, Scope
from gridkeeper.queries.usage import usage as ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.queries.usage import Usage
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
        help="Only rows with this: vo=cms; vo=cms,atlas for either; vo= for what nothing maps. A value that holds a comma "
        "stands in double quotes: 'vo=\"a, b\"'. May be repeated: of one dimension either, of several dimensions all.",
        show_default=False,
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
        help="A grid's name, or any. Else the federation's grid, without Local; at resources that federation.yaml does not name, any.",
        show_default=False,
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
WholeOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the answer with where it comes from: versions, what was counted, corrections, what is estimated.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to a file.", show_default=False)
]


def usage(
    by: ByOption = "vo", measure: MeasureOption = _MEASURES, first: FirstOption = None, until: UntilOption = None,
    where: WhereOption = None, count_level: LevelOption = None, grid: GridOption = None, attribution: AttributionOption = "end",
    source: SourceOption = None, shape: ShapeOption = Shape.TABLE, output: OutputOption = None, whole: WholeOption = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Say how much was used, by whom, where and when.

    Examples:

    gridkeeper usage --by vo,month --measure jobs,core_hours,efficiency

    gridkeeper usage --by vo,transfer_protocol --measure transfers,bytes

    gridkeeper usage --by day --where vo=cms,atlas --first 2017-01-31 --until 2017-02-07 --attribution overlap --format json
    """
    books = wired(home).books()
    dimensions, measures = _names(by), _names(measure)
    if source is None and set(measures) & set(OF_TRANSFERS):
        source = "jobs"
    conditions = tuple(condition for text in where or [] for condition in _conditions(text))
    scope = Scope(
        period_between(first, until), count_level, grid, attribution, source_of(books, source), conditions
    )
    answer = ask(books, dimensions, measures, scope)
    if whole:
        if shape is not Shape.TABLE or output is not None:
            raise UserMistake(
                "--json prints the answer with what it is made of; leave out --format and --output"
            )
        print(as_json({"rows": answer.rows, "about": _about(books, answer)}))
    else:
        print_rows(answer.rows, answer.schema.names, shape, output, schema=answer.schema)
    others = left_out(books, scope, answer.table)
    if shape is Shape.TABLE and output is None and not whole:
        _note(books, answer, others)
    say_why(books, answer, others)


def _about(books: Books, answer: Usage) -> dict[str, Any]:
    """Where the answer comes from, and what is to be known of it."""
    period = answer.scope.period
    return {
        "table": answer.table,
        "versions": answer.versions,
        "first": period.first if period else None,
        "until": period.until if period else None,
        "where": [f"{name}={value}" for name, value in answer.scope.where],
        **answer.scope.described(in_words(books, answer.scope, answer.table)),
        **answer.influence.as_json(),
    }


def _note(books: Books, answer: Usage, others: Sequence[LeftOut]) -> None:
    """What was counted, and what another grid (Local, most of all) was left out with."""
    told = answer.scope.described(in_words(books, answer.scope, answer.table))
    if answer.table == "transfers_daily":
        told |= {"attribution": "start", "count_level": "transfers have none"}
    notes = [f"{key.replace('_', ' ')}: {value}" for key, value in told.items()]
    notes += [f"left out: {one.grid} with {amount(one, answer)}" for one in others if one.grid]
    if answer.influence.rules:
        notes.append(f"corrections: {answer.influence.corrections}")
    if answer.influence.estimated:
        notes.append(f"estimated: {answer.influence.estimates}")
    notes += [sentence for share in answer.factors if (sentence := share.sentence())]
    if "carbon_kg" in answer.schema.names:
        notes.append("carbon_kg is an estimate")
    complaints.print(
        f"{'; '.join(notes)}; load {answer.versions['load_seq']}",
        style="dim",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


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


def _conditions(text: str) -> list[tuple[str, str]]:
    """Read `vo=cms`, `vo=cms,atlas`, `vo=` and `vo="a, b",cms`: the values of one dimension, of which rows have one."""
    name, sign, said = text.partition("=")
    if not sign:
        raise UserMistake(f"--where {text!r} says no value; write it as vo=cms")
    try:
        (values,) = csv.reader([said], skipinitialspace=True, strict=True) if said else ([""],)
    except (csv.Error, ValueError):
        raise UserMistake(
            f'--where {text!r} cannot be read: a value that holds a comma stands in double quotes, as in vo="a, b"'
        ) from None
    return [(name.strip(), value.strip()) for value in values]
