"""`gridkeeper lake`: what lies in the lake, and its upkeep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gridkeeper.cli.output import Shape, as_json, complaints, console, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.lake import maintenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = typer.Typer(help="What lies in the lake, and its upkeep.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def status(as_json_text: JsonOption = False, home: HomeOption = None) -> None:
    """Say for each table its version, rows, files and bytes, and how far the summaries are.

    Example: gridkeeper lake status
    """
    rows = maintenance.status(wired(home).lake)
    print_rows(rows, list(rows[0]), Shape.JSON if as_json_text else Shape.TABLE)


@app.command()
def compact(
    keep_days: Annotated[
        int,
        typer.Option(
            help="Files that no version needs are kept this many days.", min=maintenance.LEAST_KEEP_DAYS
        ),
    ] = 7,
    as_json_text: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Join small files, and remove those that no version of the last days needs.

    Example: gridkeeper lake compact --keep-days 30
    """
    place = wired(home)
    place.database()  # where nothing can be written down, nothing is removed
    rows = maintenance.compact(place.lake, keep_days)
    place.audited("lake.compact", "all tables", {"keep_days": keep_days} | maintenance.summed(rows))
    print_rows(
        rows, ["table", "files_before", "files_after", "removed"], Shape.JSON if as_json_text else Shape.TABLE
    )


@app.command()
def verify(as_json_text: JsonOption = False, home: HomeOption = None) -> None:
    """Check that every file is there and whole to its last byte, every identity counts once, and summaries equal their records.

    Example: gridkeeper lake verify
    """
    place = wired(home)
    with _bar(quiet=as_json_text) as told:
        findings = maintenance.verify(place.lake, place.books(), told)
    if as_json_text:
        print(as_json(findings))
    else:
        for finding in findings:
            console.print(
                f"{_WORDS[finding['ok']]} {finding['check']}: {finding['found']}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


_WORDS = {True: "ok  ", False: "BAD ", None: "skip"}


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if quiet or not complaints.is_terminal:
        yield lambda _done, _of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=complaints, transient=True) as progress:
        task = progress.add_task("reading every file", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT over the lake's tables.", show_default=False)],
    shape: Annotated[Shape, typer.Option("--format", help="How to print.")] = Shape.TABLE,
    home: HomeOption = None,
) -> None:
    """Answer one SELECT over the lake's tables (docs/records.md and docs/summaries.md name their columns).

    Example: gridkeeper lake sql "SELECT outcome, COUNT(*) AS jobs FROM usage_records GROUP BY outcome"
    """
    found = maintenance.only_select(wired(home).books(), statement)
    print_rows(found.to_pylist(), found.column_names, shape, schema=found.schema, exact=True)
