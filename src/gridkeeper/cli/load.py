"""`gridkeeper init` and `gridkeeper load`."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from gridkeeper.cli.nothing import of_no_grid
from gridkeeper.cli.output import as_json, complaints, console
from gridkeeper.cli.wiring import HomeOption, Wired, wired
from gridkeeper.clock import now
from gridkeeper.config import Home
from gridkeeper.errors import GridkeeperError, UserMistake
from gridkeeper.federation.model import read_registry
from gridkeeper.federation.names import doubts
from gridkeeper.intake.loader import Loaded, Loader
from gridkeeper.intake.sources import STANDARD_INPUT, find
from gridkeeper.records.draft import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WORKERS_FROM_BYTES = 4 * 1024 * 1024
MOST_WORKERS = 64
MOST_NAMED = 20  # files in one row of the audit


def init(
    home: Annotated[
        Path,
        typer.Argument(help="The folder to make; existing books in it stay as they are.", show_default=False),
    ],
) -> None:
    """Make a home: the folder that holds the books of one federation.

    Example: gridkeeper init ~/osg
    """
    made = Home(home).create()
    console.print(
        f"{'Made' if made else 'There is already'} a home at {home}. Say who is who in {Home(home).federation}; then: gridkeeper load --home {home} FILE",
        soft_wrap=True,
    )


def load(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders, - for standard input; plain, gzip or zstd.", show_default=False
        ),
    ],
    format_name: Annotated[
        str, typer.Option("--format", help="The format, or auto to recognise it.")
    ] = "auto",
    resource: Annotated[
        str | None, typer.Option(help="The machine that all records are booked on.", show_default=False)
    ] = None,
    probe: Annotated[str | None, typer.Option(help="Who sends them.", show_default=False)] = None,
    vo: Annotated[
        str | None, typer.Option(help="The VO of records that name none.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Threads that read; 0 for none. Else by size.", min=0, max=MOST_WORKERS, show_default=False
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 when anything was refused, or a file held no record."),
    ] = False,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """Load usage records. What was loaded before changes nothing; what is refused is kept, with the reason.

    Examples:

    gridkeeper load sacct-2017-01.txt

    gridkeeper load --resource Utah-Kingspeak --vo osg history/

    TZ=UTC sacct -P -D -X --format=JobIDRaw,JobID,Cluster,Account,User,Submit,Start,End,State,ElapsedRaw,NCPUS | gridkeeper load -
    """
    began = time.monotonic()
    place = wired(home)
    delivery = Delivery(now(), resource, probe, vo)
    with _audited(place, paths, format_name, delivery) as told:
        loaded = run(place, paths, format_name, delivery, workers, quiet=as_json_text)
        told |= _counts(loaded)
    if loaded.appended.loaded and (warning := of_no_grid(place.books())):
        loaded.warnings.append(warning)
    seconds = time.monotonic() - began
    if as_json_text:
        print(as_json(result(loaded, seconds)))
    else:
        _tell(loaded, seconds)
    for sentence in loaded.warnings:
        complaints.print(sentence, style="yellow", markup=False, soft_wrap=True)
    for sentence in loaded.unreadable:
        complaints.print(sentence, style="red", markup=False, soft_wrap=True)
    if loaded.unreadable or (strict and (loaded.rejected or loaded.empty)):
        raise typer.Exit(1)


@contextmanager
def _audited(
    place: Wired, paths: Sequence[Path], format_name: str, delivery: Delivery
) -> Iterator[dict[str, object]]:
    """Write down what a load did, or that it broke off, having loaded what it had got through. Gives: a place for its counts."""
    place.database()  # where nothing can be written down, nothing is loaded
    told: dict[str, object] = {}
    files = ["standard input" if path == STANDARD_INPUT else str(path.absolute()) for path in paths]
    more = {"and_more": len(files) - MOST_NAMED} if len(files) > MOST_NAMED else {}
    declared = {name: getattr(delivery, name) for name in ("resource", "probe", "vo")}
    named = {"format": format_name} | declared | {"files": files[:MOST_NAMED]} | more
    subject = files[0] if len(files) == 1 else f"{len(files)} files and folders"
    try:
        yield told
    except UserMistake:  # it is said before anything is loaded
        raise
    except BaseException as error:
        why = str(error) if isinstance(error, GridkeeperError) else type(error).__name__
        place.audited("records.load", subject, named | {"broke_off": why})
        raise
    place.audited("records.load", subject, named | told)


def _counts(loaded: Loaded) -> dict[str, object]:
    return {
        "read": loaded.read,
        "loaded": loaded.appended.loaded,
        "duplicates": loaded.appended.duplicates,
        "revised": loaded.appended.revised,
        "rejected": loaded.rejected,
        "unreadable": len(loaded.unreadable),
    }


def run(
    place: Wired,
    paths: Sequence[Path],
    format_name: str,
    delivery: Delivery,
    workers: int | None,
    *,
    quiet: bool,
) -> Loaded:
    """Load files and bring the summaries up to them."""
    files = find(paths)
    whole = [file for file in files if file != STANDARD_INPUT and file.is_file()]
    size = sum(file.stat().st_size for file in whole)
    if workers is None:  # what comes through a pipe may be of any size
        large = size >= WORKERS_FROM_BYTES or len(whole) < len(files)
        workers = min(os.cpu_count() or 1, MOST_WORKERS) if large else 0
    with _bar(size, quiet) as (advance, say):
        loaded = Loader(place.lake, place.keep, workers, advance).load(paths, format_name, delivery)
        say("adding up")
        own = read_registry(place.home.federation).model_copy(update={"vos": place.registry.vos})
        loaded.warnings += [f"{place.home.federation}: {doubt}" for doubt in doubts(own)]
        place.refresh(lambda done, of: say(f"adding up, {done} of {of} parts"))
    return loaded


def result(loaded: Loaded, seconds: float) -> dict[str, object]:
    """The result of a load as machines read it."""
    return {
        "read": loaded.read,
        "loaded": loaded.appended.loaded,
        "duplicates": loaded.appended.duplicates,
        "revised": loaded.appended.revised,
        "rejected": loaded.rejected,
        "skipped": dict(loaded.skipped),
        "rules": dict(loaded.rules),
        "unreadable": loaded.unreadable,
        "warnings": loaded.warnings,
        "kept_in": "quarantine" if loaded.rejected else None,
        "seconds": round(seconds, 3),
    }


def _tell(loaded: Loaded, seconds: float) -> None:
    done = loaded.appended
    console.print(
        f"read {loaded.read:,}: loaded {done.loaded:,}, duplicates {done.duplicates:,}, revised {done.revised:,}, "
        f"rejected {loaded.rejected:,}, skipped {loaded.skipped.total():,}; {seconds:.1f} s",
        soft_wrap=True,
    )
    for reason, count in loaded.skipped.most_common():
        console.print(f"  skipped {count:,}: {reason.replace('_', ' ')}", highlight=False)
    for sentence in loaded.sentences:
        complaints.print(f"  {sentence}", style="yellow", markup=False, soft_wrap=True)
    if loaded.rejected:
        more = loaded.rejected - len(loaded.sentences) - len(loaded.unreadable)
        complaints.print(
            f"  {f'and {more:,} more; ' if more else ''}all refused records are kept; `gridkeeper quarantine list` shows them",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


@contextmanager
def _bar(size: int, quiet: bool) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield (lambda _size, _records: None), (lambda _text: None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=complaints, transient=True) as progress:
        task = progress.add_task("loading", total=size or None)
        records = 0

        def advance(read_bytes: int, read: int) -> None:
            nonlocal records
            records += read
            progress.update(task, advance=read_bytes, description=f"loading, {records:,} records")

        yield advance, lambda text: progress.update(task, description=text)
