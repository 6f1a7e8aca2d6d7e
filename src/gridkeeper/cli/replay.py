"""`gridkeeper replay`: read archived text again after a parser was mended, and say what that changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gridkeeper.cli.layout import Column
from gridkeeper.cli.output import console, print_table
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.clock import now
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridkeeper.intake.comparing import Changes
    from gridkeeper.intake.replaying import Replayed

# What becomes of the rows of a table, and how a person reads it.
_COUNTS = {
    "rows": "records",
    "same": "as before",
    "new": "new",
    "changed": "changed",
    "duplicates": "repeated",
    "elsewhere": "elsewhere",
    "orphans": "orphans",
}


def replay(
    first: Annotated[
        datetime,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The first day on which the text was received."),
    ],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last such day.")],
    format_name: Annotated[str | None, typer.Option("--format", help="Only text of this format.")] = None,
    probe: Annotated[
        str | None, typer.Option("--probe", help="Only text of this probe: declared, or as it called itself.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    home: HomeOption = None,
) -> None:
    """Read archived text again, after a parser was mended; what reads differently becomes a revision.

    All kinds of records are read: jobs, reported sums, storage. A text is judged as when it came: who sent it may
    still send for the same resources only. Refusals are kept; those that are refused no more are closed.

    [bold]Examples[/]

        gridkeeper replay --from 2017-01-01 --to 2017-01-31 --format gratia-post --dry-run

        gridkeeper replay --from 2017-01-01 --to 2017-01-31 --probe slurm:utah
    """
    from gridkeeper.intake.archived import Wanted
    from gridkeeper.intake.replaying import replay as read_again
    from gridkeeper.trust import audit

    place = wired(home)
    done = read_again(
        place.lake,
        place.registry,
        Wanted(first.replace(tzinfo=UTC).date(), (last + timedelta(days=1)).date(), format_name, probe),
        now(),
        member_bytes=place.settings.intake.member_bytes,
        engine=place.database_as_it_is() if dry_run else place.database(),
        by=None if dry_run else audit.local_user(),
    )
    if not dry_run:
        place.refresh()
    if as_json:
        print(json.dumps(_said(done) | {"committed": not dry_run}))
        return
    _tell(done)
    console.print("nothing was committed (--dry-run)" if dry_run else "committed")


def _said(done: Replayed) -> dict[str, object]:
    from gridkeeper.intake.replaying import places_of

    tables = {
        name: {count: int(getattr(found, count)) for count in _COUNTS} for name, found in done.tables.items()
    }
    sums = {count: sum(table[count] for table in tables.values()) for count in _COUNTS if count != "rows"}
    changes = [{"table": name} | row for name, found in done.tables.items() for row in places_of(found)]
    return {
        "texts": done.texts,
        "records": done.records,
        **sums,
        "refused": dict(done.refused),
        "skipped": dict(done.skipped),
        "closed": done.closed,
        "tables": tables,
        "changes": changes,
    }


def _tell(done: Replayed) -> None:
    console.print(f"read {done.texts:,} texts with {done.records:,} records again")
    tallies = [
        (name, *(f"{getattr(found, count):,}" for count in _COUNTS))
        for name, found in done.tables.items()
        if found.rows or found.orphans
    ]
    if tallies:
        heads = (Column(word, is_number=True) for word in _COUNTS.values())
        print_table([Column("table"), *heads], tallies)
    for rule, count in done.refused.most_common():
        console.print(f"refused {count:,}: {rule}")
    for reason, count in done.skipped.most_common():
        console.print(f"skipped {count:,}: {reason}", markup=False)
    if done.closed:
        console.print(f"{done.closed:,} refusals in the quarantine are refused no more")
    if any(found.elsewhere for found in done.tables.values()):
        console.print("elsewhere: read differently, but a later delivery counts")
    if any(found.orphans for found in done.tables.values()):
        console.print("orphans: not in their text any more, and cannot be replaced; they stay")
    changed = {name: found for name, found in done.tables.items() if found.by_place}
    for name, found in changed.items():
        console.print(f"what changes in {name}:")
        _print_places(found)
    if not changed:
        console.print("nothing changes")


def _print_places(found: Changes) -> None:
    from gridkeeper.intake.replaying import places_of

    places = places_of(found)
    hours = {"wall_seconds": "wall hours", "core_seconds": "core hours", "cpu_seconds": "CPU hours"}
    named = hours if any(row[column] for row in places for column in hours) else {}
    rows = [
        (
            str(row["vo"] or "unmapped"),
            str(row["site"] or "unknown"),
            f"{row['new']:,}",
            f"{row['changed']:,}",
            *(f"{int(str(row[column])) / SECONDS_PER_HOUR:+,.1f}" for column in named),
        )
        for row in places
    ]
    numbers = (Column(name, is_number=True) for name in ("new", "changed", *named.values()))
    print_table([Column("VO"), Column("site"), *numbers], rows)
