"""`gridkeeper report`: makes a report of a week, a month or any period."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridkeeper.cli.compare import opened
from gridkeeper.cli.nothing import say_nothing_of
from gridkeeper.cli.output import complaints, save
from gridkeeper.cli.usage import SourceName, source_of
from gridkeeper.cli.wiring import HomeOption, Wired, wired
from gridkeeper.clock import now
from gridkeeper.editions.storing import read as read_edition
from gridkeeper.errors import UserMistake
from gridkeeper.queries import figures
from gridkeeper.queries.periods import (
    Period,
    last_full_week,
    month_of,
    parse_day,
    parse_month,
    period_between,
    week_of,
)
from gridkeeper.reports.compare import DEFAULT_TOLERANCE
from gridkeeper.reports.compare import REPORT as COMPARISON
from gridkeeper.reports.contract import Request
from gridkeeper.reports.production import REPORT as PRODUCTION
from gridkeeper.reports.registry import reports

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

app = typer.Typer(help="Make a report; plots and tables, every number traceable.", no_args_is_help=True)

WeekOption = Annotated[
    str | None, typer.Option(help="Any day of the week, as 2017-01-31.", show_default=False)
]
MonthOption = Annotated[str | None, typer.Option(help="The month, as 2017-01.", show_default=False)]
FirstOption = Annotated[str | None, typer.Option(help="First day of any period.", show_default=False)]
UntilOption = Annotated[str | None, typer.Option(help="The day after its last.", show_default=False)]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="The format, whatever the ending of -o; else by that ending, else the first one.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="The file to write.", show_default=False)
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="The moment of asking, as 2017-02-07 (00:00 UTC). Else now.", show_default=False
    ),
]
SourceOption = Annotated[
    SourceName | None, typer.Option(help="jobs, or sums reported by others.", show_default=False)
]
EditionOption = Annotated[
    int | None,
    typer.Option(
        "--edition",
        help="Give what was published under this number, byte for byte.",
        min=1,
        show_default=False,
    ),
]
ENDINGS = {
    ".twiki": "twiki",
    ".txt": "twiki",
    ".md": "markdown",
    ".html": "html",
    ".json": "json",
    ".xlsx": "xlsx",
    ".csv": "csv",
}


@app.command()
def production(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    shape: FormatOption = None, output: OutputOption = None, as_of: AsOfOption = None, source: SourceOption = None,
    edition: EditionOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """The weekly production meeting's figures, for the last full week or any period. Formats: twiki, markdown, html, json, csv.

    Examples:

    gridkeeper report production --week 2017-01-31 --format html -o week.html

    gridkeeper report production --edition 7 --format html
    """
    _make("production", (week, month, first, until), shape, output, as_of, source, edition, home)


@app.command("site-vo")
def site_vo(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    shape: FormatOption = None, output: OutputOption = None, as_of: AsOfOption = None, source: SourceOption = None,
    edition: EditionOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """The matrix of sites by VOs of the last full month or any period. Formats: xlsx, csv, json, html.

    Example: gridkeeper report site-vo --month 2017-01 -o Site-VO_matrix-Jan_2017.xlsx
    """
    _make("site-vo", (week, month, first, until), shape, output, as_of, source, edition, home)


@app.command()
def trends(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    shape: FormatOption = None, output: OutputOption = None, as_of: AsOfOption = None, source: SourceOption = None,
    edition: EditionOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Months side by side: each VO's ups and downs, its top sites. Formats: markdown, twiki, html, json, csv.

    Example: gridkeeper report trends --month 2017-01 --format markdown
    """
    _make("trends", (week, month, first, until), shape, output, as_of, source, edition, home)


@app.command()
def plots(
    folder: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.", show_default=False)],
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None, as_of: AsOfOption = None,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """The plots of the production report, each as PNG and SVG.

    Example: gridkeeper report plots --week 2017-01-31 -o plots
    """
    place = wired(home)
    books = place.books()
    asked = request_of(place, books, "production", (week, month, first, until), moment_of(as_of), "jobs")
    drawn = PRODUCTION.make(books, asked).plots()
    if not drawn:
        raise UserMistake(_nothing_to_draw(books, asked.period))
    for plot in drawn:
        write(plot.svg().encode(), "svg", folder / f"{plot.name}.svg")
        write(plot.png(), "png", folder / f"{plot.name}.png")


@app.command()
def compare(
    left: Annotated[str, typer.Argument(help="A home or a file; with :jobs or :reported, that source of it.", show_default=False)],
    right: Annotated[str, typer.Argument(help="The other one.", show_default=False)],
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    tolerance: Annotated[float, typer.Option(help="Up to which part of the larger figure two agree.", min=0.0, max=1.0)] = DEFAULT_TOLERANCE,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when anything disagrees or is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    shape: FormatOption = None, output: OutputOption = None, as_of: AsOfOption = None,
) -> None:  # fmt: skip
    """Two books of the same days side by side, all days unless told otherwise. Formats: markdown, csv, json, html.

    Examples:

    gridkeeper report compare gracc_2017-01.apel gratia_2017-01.apel

    gridkeeper report compare osg-home:jobs osg-home:reported --month 2017-01 -o compared.html
    """
    shape = shape_of("json" if as_json else shape, output, COMPARISON.formats)
    with opened(left, right) as sides:
        period = _period(week, month, first, until, week_start=sides[0][1].registry.federation.week_start)
        found = COMPARISON.make_of(*sides, period, tolerance, moment_of(as_of))
    write(COMPARISON.render(found, shape), shape, output)
    if strict and not found.comparison.agrees:
        raise typer.Exit(1)


def _nothing_to_draw(books: Books, period: Period) -> str:
    if books.holds("usage_records"):
        return f"there is nothing to draw: no job of these books ended in the weeks up to {period.last}; name another period"
    if books.holds("usage_reported"):
        return "there is nothing to draw: these books hold only sums that others reported, which tell no days; load records of jobs"
    return "there is nothing to draw: these books are empty; load records of jobs first, as gridkeeper load sacct.txt"


def _make(
    name: str, when: tuple[str | None, str | None, str | None, str | None], shape: str | None, output: Path | None, as_of: str | None,
    source: str | None, edition: int | None, home: Path | None,
) -> None:  # fmt: skip
    report = reports()[name]
    if edition is not None:
        if any((*when, as_of, source)):
            raise UserMistake(
                f"edition {edition} has its period, its moment and its source; leave out the other options"
            )
        _give(name, wired(home), edition, shape, output)
        return
    shape = shape_of(shape, output, report.formats)
    place = wired(home)
    books = place.books()
    request = request_of(place, books, name, when, moment_of(as_of), source)
    write(report.render(report.make(books, request), shape), shape, output)
    say_nothing_of(books, request.period, request.source)


def _give(name: str, place: Wired, number: int, shape: str | None, output: Path | None) -> None:
    """Write a report as it was published."""
    stored = read_edition(place.database_as_it_is(), place.home.editions, number)
    if stored.edition.report != name:
        raise UserMistake(
            f"edition {number} is a {stored.edition.report} report; write gridkeeper report {stored.edition.report} --edition {number}"
        )
    shape = shape_of(shape, output, stored.edition.formats)
    write(stored.report(shape), shape, output)


def moment_of(as_of: str | None) -> datetime:
    """The moment of asking."""
    return datetime.combine(parse_day(as_of), datetime.min.time(), UTC) if as_of else now()


def request_of(
    place: Wired,
    books: Books,
    name: str,
    when: tuple[str | None, str | None, str | None, str | None],
    moment: datetime,
    source: str | None,
) -> Request:
    """What a report is asked for: the period named, else the last full week (production) or month (the others)."""
    period = _period(*when, week_start=place.registry.federation.week_start)
    if period is None:
        today = moment.date()
        monthly = month_of(month_of(today).before().first)
        period = (
            last_full_week(today, place.registry.federation.week_start) if name == "production" else monthly
        )
    over = datetime.combine(period.until, datetime.min.time(), UTC)
    return Request(
        period,
        moment,
        source_of(books, source),
        tuple(figures.known(place.home.figures)),
        contacts=place.heard(min(over, moment)),
        downtimes=place.announced(moment),
        pool_samples=place.pool_hours(period) if name == "production" else (),
        history_days=place.settings.silence.history_days,
        coverage_floor=place.settings.coverage.floor,
    )


def _period(
    week: str | None, month: str | None, first: str | None, until: str | None, week_start: str
) -> Period | None:
    if sum(part is not None for part in (week, month, first or until)) > 1:
        raise UserMistake("name one of --week, --month, or --first with --until")
    if week is not None:
        return week_of(parse_day(week), week_start)
    if month is not None:
        return parse_month(month)
    return period_between(first, until)


def shape_of(named: str | None, output: Path | None, formats: tuple[str, ...]) -> str:
    """The format named, else that of the file's ending, else (no file, or no ending) the report's first.

    Raises: UserMistake (permanent) for a format or an ending that the report does not have.
    """
    if named is not None:
        if named not in formats:
            raise UserMistake(f"this report has no format {named!r}; it has {', '.join(formats)}")
        return named
    if output is None or not output.suffix:
        return formats[0]
    shape = ENDINGS.get(output.suffix.lower())
    if shape not in formats:
        endings = [ending for ending, shape in ENDINGS.items() if shape in formats]
        raise UserMistake(
            f"{output}: this report is written as {', '.join(endings[:-1])} or {endings[-1]}, not as {output.suffix}; "
            f"name such a file, or say --format ({', '.join(formats)})"
        )
    return shape


def write(data: bytes, shape: str, output: Path | None) -> None:
    """Write a report to its file, or to standard output (a spreadsheet only where that is no terminal)."""
    if output is not None:
        save(data, output)
        complaints.print(
            f"wrote {output} ({len(data):,} bytes)", highlight=False, markup=False, soft_wrap=True
        )
        return
    stream = typer.get_binary_stream("stdout")
    if shape == "xlsx" and stream.isatty():
        raise UserMistake("a spreadsheet is no text for a terminal; name a file with -o")
    stream.write(data)
    stream.flush()
