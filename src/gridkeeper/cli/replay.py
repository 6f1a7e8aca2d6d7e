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
from gridkeeper.database import writing
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridkeeper.intake.replaying import Replayed, Sums


def replay(
    first: Annotated[
        datetime,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The first day on which the text was received."),
    ],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last such day.")],
    format_name: Annotated[str | None, typer.Option("--format", help="Only text of this format.")] = None,
    probe: Annotated[str | None, typer.Option("--probe", help="Only text of this probe.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    home: HomeOption = None,
) -> None:
    """Read archived text again, after a parser was mended; what reads differently becomes a revision.

    [bold]Examples[/]

        gridkeeper replay --from 2017-01-01 --to 2017-01-31 --format gratia-post --dry-run

        gridkeeper replay --from 2017-01-01 --to 2017-01-31 --probe slurm:utah
    """
    from gridkeeper.intake.replaying import Wanted
    from gridkeeper.intake.replaying import replay as read_again
    from gridkeeper.summaries.refreshing import refresh
    from gridkeeper.trust import audit

    place = wired(home)
    wanted = Wanted(first.replace(tzinfo=UTC).date(), (last + timedelta(days=1)).date(), format_name, probe)
    done = read_again(place.lake, place.registry, wanted, now(), commit=not dry_run)
    if not dry_run:
        refresh(place.lake, place.registry)
        with writing(place.database()) as connection:
            audit.record(
                connection,
                audit.local_user(),
                "archive.replay",
                f"{done.texts} texts",
                {"from": str(first.date()), "to": str(last.date())},
            )
    if as_json:
        print(json.dumps(_said(done) | {"committed": not dry_run}))
        return
    _tell(done)
    console.print("nothing was committed (--dry-run)" if dry_run else "committed")


def _said(done: Replayed) -> dict[str, object]:
    told: dict[str, object] = {
        name: getattr(done, name) for name in ("texts", "records", "same", "elsewhere", "orphans")
    }
    changes = [{"vo": vo, "site": site, **vars(sums)} for (vo, site), sums in _largest_first(done)]
    return told | {"refused": dict(done.refused), "changes": changes}


def _largest_first(done: Replayed) -> list[tuple[tuple[str | None, str | None], Sums]]:
    return sorted(done.by_place.items(), key=lambda pair: -abs(pair[1].core_seconds))


def _tell(done: Replayed) -> None:
    console.print(
        f"read {done.texts:,} texts with {done.records:,} records again: {done.same:,} are as they were"
    )
    if done.elsewhere:
        console.print(f"{done.elsewhere:,} read differently, but a later delivery counts")
    if done.orphans:
        console.print(f"{done.orphans:,} are not in their text any more, and cannot be replaced")
    for rule, count in done.refused.most_common():
        console.print(f"refused {count:,}: {rule}")
    if not done.by_place:
        console.print("nothing changes")
        return
    rows = []
    for (vo, site), sums in _largest_first(done):
        hours = (
            f"{seconds / SECONDS_PER_HOUR:+,.1f}"
            for seconds in (sums.wall_seconds, sums.core_seconds, sums.cpu_seconds)
        )
        rows.append((vo or "unmapped", site or "unknown", f"{sums.new:,}", f"{sums.changed:,}", *hours))
    names = ("new", "changed", "wall hours", "core hours", "CPU hours")
    print_table([Column("VO"), Column("site"), *(Column(name, is_number=True) for name in names)], rows)
