"""`gridkeeper publish`: freezes a report under a number, with all that it was made of."""

from __future__ import annotations

import typer

from gridkeeper.cli.output import console
from gridkeeper.cli.report import (
    AsOfOption,
    FirstOption,
    MonthOption,
    SourceOption,
    UntilOption,
    WeekOption,
    moment_of,
    request_of,
)
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.clock import now
from gridkeeper.editions.publishing import publish
from gridkeeper.editions.storing import place_of
from gridkeeper.reports.registry import reports
from gridkeeper.trust.audit import local_user

app = typer.Typer(
    help="Publish a report: freeze its bytes, its plots and all that it was made of, under a number and a checksum.",
    no_args_is_help=True,
)


@app.command()
def production(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    as_of: AsOfOption = None, source: SourceOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Publish the production report of the last full week or any period, in all its formats.

    Example: gridkeeper publish production --month 2017-01
    """
    _publish("production", (week, month, first, until), as_of, source, home)


@app.command("site-vo")
def site_vo(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    as_of: AsOfOption = None, source: SourceOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Publish the matrix of sites by VOs of the last full month or any period, in all its formats.

    Example: gridkeeper publish site-vo --month 2017-01
    """
    _publish("site-vo", (week, month, first, until), as_of, source, home)


@app.command()
def trends(
    week: WeekOption = None, month: MonthOption = None, first: FirstOption = None, until: UntilOption = None,
    as_of: AsOfOption = None, source: SourceOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Publish the months side by side, in all formats of that report.

    Example: gridkeeper publish trends --month 2017-01
    """
    _publish("trends", (week, month, first, until), as_of, source, home)


def _publish(
    name: str, when: tuple[str | None, str | None, str | None, str | None], as_of: str | None, source: SourceOption, home: HomeOption
) -> None:  # fmt: skip
    place = wired(home)
    books = place.books()
    request = request_of(place, books, name, when, moment_of(as_of), source)
    edition, checksum = publish(
        place.database(), place.home.editions, books, reports()[name], request, local_user(), now()
    )
    console.print(
        f"edition {edition.number}: {edition.title}, {', '.join(edition.formats)}, in {place_of(place.home.editions, edition.number)}\n"
        f"checksum {checksum}; to have it again: gridkeeper report {name} --edition {edition.number}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
