"""`gridkeeper demo`: the main job on an invented federation, from raw logs to reports, checked against its ledger."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gridkeeper.cli.output import complaints, console
from gridkeeper.cli.sample_reports import write_reports
from gridkeeper.cli.wiring import Wired, wired
from gridkeeper.config import Home
from gridkeeper.demo import Ledger, generate
from gridkeeper.demo.second_books import SECOND_BOOKS
from gridkeeper.errors import GridkeeperError, UserMistake
from gridkeeper.intake.loader import Loaded, Loader
from gridkeeper.intake.sources import Parcel
from gridkeeper.queries import figures
from gridkeeper.records.draft import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.summaries.books import Books

ARRIVES_AFTER = timedelta(hours=2)


def demo(
    directory: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    scale: Annotated[
        float, typer.Option(help="Size against the federation of 2017.", min=0.0005, max=0.1)
    ] = 0.01,
    seed: Annotated[
        int, typer.Option(help="Another seed makes other jobs with the same totals.", min=0)
    ] = 2017,
) -> None:
    """Make a sample federation, load its raw logs, write all reports, and compare with its ledger. All data are invented.

    Example: gridkeeper demo demo --scale 0.01
    """
    console.print(
        f"A sample federation at {scale:g} of the size of 2017, seed {seed}. [bold]All its data are invented.[/]",
        highlight=False,
    )
    with _in_order(directory):
        ledger = make_raw(directory, scale, seed)
    with _in_order(directory):
        place, loaded = load_raw(directory)
    done = loaded.appended
    console.print(
        f"read {loaded.read:,} records: loaded {done.loaded:,}, duplicates {done.duplicates:,}, revised {done.revised:,}, rejected {loaded.rejected:,}, "
        f"skipped {loaded.skipped.total():,} (still running, or never ran)", highlight=False, soft_wrap=True,
    )  # fmt: skip
    books = place.books()
    with _in_order(directory):
        files = write_reports(place, books, directory / SECOND_BOOKS, directory / "reports")
    wrong = differences(books, ledger)
    if wrong:
        raise GridkeeperError("the books differ from the ledger: " + "; ".join(wrong[:5]))
    reported = [row for row in ledger.rows if row.book == "reported"]
    console.print(
        f"the books equal the ledger to the second: {len(reported):,} sums by day, site, VO and level, in both attributions",
        highlight=False,
        soft_wrap=True,
    )
    console.print("reports:")
    for file in files:
        console.print(f"  {file}", highlight=False, soft_wrap=True)
    console.print(
        f"look further: gridkeeper --home {directory / 'home'} usage --by vo,month   (make serve shows the reports in a browser)",
        highlight=False,
        soft_wrap=True,
    )


@contextmanager
def _in_order(directory: Path) -> Iterator[None]:
    """Say in a sentence what a folder lacks that cannot be made, or holds a file where a folder should be, or half a sample."""
    try:
        yield
    except OSError as error:
        where = error.filename or directory
        raise UserMistake(
            f"the sample cannot be made in {directory}: {where}: {error.strerror or error}; name a folder that you may write to"
        ) from error
    except (KeyError, ValueError) as error:
        raise UserMistake(
            f"{directory} holds something else than a whole sample ({error}); remove it or name another folder"
        ) from error


def make_raw(directory: Path, scale: float, seed: int) -> Ledger:
    """Write the raw files; those that are there already from the same scale and seed are taken as they are."""
    ledger = directory / "ledger.json"
    if ledger.exists():
        found = Ledger.read(ledger)
        if not (directory / SECOND_BOOKS).exists():
            raise UserMistake(
                f"{directory} was made by an older Gridkeeper; remove it or name another folder"
            )
        if (found.header["scale"], found.header["seed"]) == (scale, seed):
            console.print(
                "the raw files are there already; loading them again must change nothing", highlight=False
            )
            return found
        raise UserMistake(
            f"{directory} holds a sample of another scale or seed; remove it or name another folder"
        )
    with _progress() as progress:
        task = progress.add_task("writing raw logs", total=1.0)
        return generate(
            directory,
            scale,
            seed,
            lambda what, part: progress.update(
                task, completed=part, description=f"writing raw logs of {what}"
            ),
        )


def load_raw(directory: Path) -> tuple[Wired, Loaded]:
    """Load the raw files into `home`, each as if it had come when it was written."""
    home = Home(directory / "home")
    home.create()
    home.federation.write_bytes((directory / "federation.yaml").read_bytes())
    place = wired(home.path)
    parcels, size = [], 0
    for entry in sorted(
        json.loads((directory / "raw" / "manifest.json").read_text()),
        key=lambda entry: (entry["written_s"], entry["path"]),
    ):
        received = datetime.fromtimestamp(entry["written_s"], UTC) + ARRIVES_AFTER
        size += (directory / entry["path"]).stat().st_size
        parcels.append(
            Parcel.of_file(
                directory / entry["path"],
                entry["format"],
                Delivery(received, entry["resource"], entry["probe"]),
            )
        )
    with _progress() as progress:
        task = progress.add_task("loading", total=size)
        workers = min(os.cpu_count() or 1, 8)
        loader = Loader(
            place.lake,
            place.keep,
            workers if workers > 1 else 0,
            lambda done, _: progress.update(task, advance=done),
        )
        loaded = loader.load_parcels(parcels)
        task = progress.add_task("adding up", total=None)
        place.refresh(lambda done, of: progress.update(task, completed=done, total=of))
    new, known = figures.load(home.figures, directory / "figures.json")
    appended = loaded.appended
    told = {"read": loaded.read, "loaded": appended.loaded, "duplicates": appended.duplicates}
    place.audited("records.load", f"the sample federation in {directory}", told)
    place.audited("figures.load", str(directory / "figures.json"), {"new": new, "known": known})
    return place, loaded


def differences(books: Books, ledger: Ledger) -> list[str]:
    """Where the books differ from the ledger: by day, site, resource, VO, experiment, level and grid, in both attributions."""
    wrong: list[str] = []
    for attribution, table in (("end", "usage_daily_end"), ("overlap", "usage_daily_overlap")):
        expected: dict[tuple[Any, ...], tuple[int, ...]] = {
            (row.day, row.site, row.resource, row.vo, row.experiment, row.level, row.grid): (
                row.jobs,
                row.wall_s,
                row.core_s,
            )
            for row in ledger.select(book="reported", attribution=attribution)
        }
        found = _booked(books, table)
        wrong += [
            f"{attribution} {key}: ledger {expected.get(key)}, books {found.get(key)}"
            for key in sorted(expected.keys() | found.keys(), key=str)
            if expected.get(key, (0, 0, 0)) != found.get(key, (0, 0, 0))
        ]
    return wrong


def _booked(books: Books, table: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """What the books hold, each level for itself: (day, site, ... grid) to (jobs, wall seconds, core seconds)."""
    found = books.select(f"""
        SELECT CAST(day AS VARCHAR) AS day, site, resource, vo, experiment, level, grid, CAST(SUM(jobs) AS BIGINT) AS jobs,
               CAST(SUM(wall_seconds) AS BIGINT) AS wall_s, CAST(SUM(core_seconds) AS BIGINT) AS core_s
        FROM {table} WHERE level IN ('batch', 'payload') GROUP BY ALL
    """)
    rows = [tuple(row.values()) for row in found.to_pylist()]
    return {row[:7]: row[7:] for row in rows}


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=complaints,
        transient=True,
        disable=not complaints.is_terminal,
    )
