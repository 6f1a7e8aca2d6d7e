"""`gridkeeper restate`: a published report against today's books, and what made the difference."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.output import Shape as Printed
from gridkeeper.cli.output import as_json, complaints, console, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.editions.restatement import CAUSES, UNEXPLAINED, Amounts
from gridkeeper.editions.restating import recount
from gridkeeper.editions.restating import restate as restated
from gridkeeper.editions.storing import read
from gridkeeper.editions.then import then_of
from gridkeeper.errors import UserMistake
from gridkeeper.reports.production_sentences import counted
from gridkeeper.units import MICROSECONDS_PER_HOUR, SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.editions.edition import Edition
    from gridkeeper.editions.restatement import Line, Restatement


class By(StrEnum):
    """What the lines of the table are."""

    VO = "vo"
    SITE = "site"


class Measure(StrEnum):
    """What the table shows; JSON has all of them."""

    CORE_HOURS = "core_hours"
    WALL_HOURS = "wall_hours"
    CPU_HOURS = "cpu_hours"
    JOBS = "jobs"


_VALUES: dict[Measure, Callable[[Amounts], float | int]] = {
    Measure.CORE_HOURS: lambda amounts: amounts.core_seconds / SECONDS_PER_HOUR,
    Measure.WALL_HOURS: lambda amounts: amounts.wall_seconds / SECONDS_PER_HOUR,
    Measure.CPU_HOURS: lambda amounts: amounts.cpu_us / MICROSECONDS_PER_HOUR,
    Measure.JOBS: lambda amounts: amounts.jobs,
}


def restate(
    edition: Annotated[int, typer.Argument(help="The edition's number.", min=1, show_default=False)],
    by: Annotated[By, typer.Option(help="What the lines are.")] = By.VO,
    measure: Annotated[Measure, typer.Option(help="What the table shows.")] = Measure.CORE_HOURS,
    check: Annotated[
        bool, typer.Option("--check", help="Count the edition anew from the records as known then, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: whole seconds, every measure.")] = False,
    home: HomeOption = None,
) -> None:
    """Say what today's books hold for an edition's period, what they held then, and why they differ.

    Causes, in this order: late records, revisions, corrections, topology; the parts add up exactly.

    Examples:

    gridkeeper restate 7

    gridkeeper restate 7 --by site --measure jobs
    """
    place = wired(home)
    stored = read(place.database_as_it_is(), place.home.editions, edition)
    if stored.edition.source != "jobs":
        raise UserMistake(
            f"edition {edition} is of sums that others reported, which have no records behind them; only reports of jobs are restated"
        )
    books, then = place.books(), then_of(stored)
    found = restated(books, then)
    wrong = recount(books, then) if check else None
    if json:
        print(
            as_json(
                _as_json(stored.edition, found) | ({} if wrong is None else {"recount_agrees": not wrong})
            )
        )
    else:
        _print(stored.edition, found, by, measure)
        if wrong is not None:
            console.print(
                "the records as known then give the same sums as the edition" if not wrong
                else f"the records as known then give other sums than the edition for {len(wrong)} pairs of VO and site",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
    if wrong or found.parts[UNEXPLAINED]:
        raise typer.Exit(1)


def _print(edition: Edition, found: Restatement, by: By, measure: Measure) -> None:
    value = _VALUES[measure]
    causes = [*CAUSES, *([UNEXPLAINED] if found.parts[UNEXPLAINED] else [])]
    lines = [*(found.by_vo if by is By.VO else found.by_site), found.in_all]
    rows: list[dict[str, Any]] = []
    for place, line in enumerate(lines):
        name = "all" if place == len(lines) - 1 else line.name
        parts = {cause: value(line.parts[cause]) for cause in causes}
        rows.append({by.value: name, "then": value(line.then), **parts, "today": value(line.today)})
    print_rows(rows, [by.value, "then", *causes, "today"], Printed.TABLE)
    console.print(
        f"{measure.value} of edition {edition.number} ({edition.title}, published {edition.made_at:%Y-%m-%d %H:%M} UTC) and of today; then + causes = today",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    for sentence in _sentences(edition, found):
        complaints.print(sentence, style="dim", highlight=False, markup=False, soft_wrap=True)


def _sentences(edition: Edition, found: Restatement) -> list[str]:
    """What stands behind the causes."""
    told = [
        f"of this period, {counted(found.late_records, 'record', 'records')} came after append {edition.load_seq}, and {found.revised_records:,} {'was' if found.revised_records == 1 else 'were'} revised"
    ]
    for names, what in (
        (found.corrections_added, "in force today and not then"),
        (found.corrections_gone, "in force then and not today"),
    ):
        if names:
            told.append(f"corrections {what}: {', '.join(names)}")
    if found.topology_changed:
        told.append("the registry is another than then")
    if found.parts[UNEXPLAINED]:
        told.append(
            "a part has no cause that is known: records are missing, or another version of the program counts otherwise; "
            "gridkeeper lake verify looks for missing records"
        )
    return told


def _as_json(edition: Edition, found: Restatement) -> dict[str, Any]:
    def said(line: Line, named: str | None) -> dict[str, Any]:
        amounts = {
            "then": line.then._asdict(),
            "today": line.today._asdict(),
            "change": line.change._asdict(),
        }
        causes = {cause: amounts._asdict() for cause, amounts in line.parts.items()}
        return ({named: line.name} if named else {}) | amounts | {"causes": causes}

    return {
        "edition": edition.number, "report": edition.report, "title": edition.title,
        "period": {"first": edition.period.first, "until": edition.period.until},
        "published_at": edition.made_at, "load_seq": {"then": edition.load_seq, "today": found.load_seq},
        "order": list(found.parts), "late_records": found.late_records, "revised_records": found.revised_records,
        "corrections_added": found.corrections_added, "corrections_gone": found.corrections_gone,
        "topology_changed": found.topology_changed,
        "total": said(found.in_all, None),
        "vos": [said(line, "vo") for line in found.by_vo],
        "sites": [said(line, "site") for line in found.by_site],
    }  # fmt: skip
