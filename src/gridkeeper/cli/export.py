"""`gridkeeper export`: feeds for other accounting systems."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.layout import Column
from gridkeeper.cli.output import Shape, as_json, complaints, console, plain, print_rows, print_table
from gridkeeper.cli.usage import SourceName, source_of
from gridkeeper.cli.wiring import HomeOption, Wired, wired
from gridkeeper.clock import now
from gridkeeper.errors import UserMistake
from gridkeeper.exports.apel_feed import Feed, as_dict, hand_over, made
from gridkeeper.exports.apel_groups import month_told
from gridkeeper.exports.apel_sent import sendings
from gridkeeper.exports.apel_validator import faults
from gridkeeper.exports.folders import put_files, put_in_queue
from gridkeeper.feed_settings import Dialect
from gridkeeper.queries.periods import month_of, parse_month
from gridkeeper.trust.audit import local_user
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gridkeeper.exports.apel import Message
    from gridkeeper.exports.apel_sent import Change, Destination

    Delivery = tuple[Destination, Callable[[Sequence[Message]], object]]

app = typer.Typer(help="Feeds for other accounting systems.", no_args_is_help=True)

MOST_PLACES = 40
MOST_FAULTS = 5
_COLUMNS = (
    "month",
    "dialect",
    "destination",
    "begun_at",
    "sent_at",
    "who",
    "messages",
    "records",
    "jobs",
    "checksum",
)


@app.callback()
def _feeds() -> None:
    """Feeds for other accounting systems."""


@app.command()
def apel(
    month: Annotated[
        str | None, typer.Option(help="The month, as 2017-01. Else the last full one.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the messages as files into this folder.", show_default=False),
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send to every destination of [apel] in gridkeeper.toml.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write and send nothing; say what differs from what was sent last.")
    ] = False,
    dialect: Annotated[
        Dialect | None, typer.Option(help="v0.4, or gracc. Else apel.dialect of the settings.", show_default=False)
    ] = None,
    source: Annotated[SourceName | None, typer.Option(help="jobs, or sums reported by others.", show_default=False)] = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Tell APEL a month: normalised summaries and sync records, compared with what was sent last; a group that is gone is sent with zeros.

    What is written or sent is written down, and audited. The same again does no harm. docs/apel.md says what is told.

    Examples:

    gridkeeper export apel --month 2017-01 --dry-run

    gridkeeper export apel --month 2017-01 -o messages

    gridkeeper export apel --send
    """
    place = wired(home)
    deliveries = _deliveries(place, folder, send=send, dry_run=dry_run)
    period = parse_month(month) if month else month_of(now().astimezone(UTC).date()).before()
    engine = (place.database() if place.has_database else None) if dry_run else place.database()
    books = place.books()
    settings = place.settings.apel
    chosen = dialect or settings.dialect
    feed = made(engine, month_told(books, settings, period, source_of(books, source), chosen), chosen, now())
    if not feed.groups:
        raise UserMistake(
            f"nothing is known of {period.name} of {', '.join(settings.vos)}, and nothing was sent; so there is nothing to tell"
        )
    for destination, deliver in deliveries:
        assert engine is not None
        hand_over(engine, feed, destination, deliver, local_user(), now)
    told = as_dict(feed) | {"delivered_to": [name for name, _ in deliveries], "dry_run": dry_run}
    if as_json_text:
        print(as_json(_plain(told)))
    else:
        _say(feed, [name for name, _ in deliveries], folder)


@app.command("sent")
def sent(
    month: Annotated[
        str | None, typer.Option(help="Only of this month, as 2017-01.", show_default=False)
    ] = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """List what was handed over to APEL, newest first; without sent_at, it broke off.

    Example: gridkeeper export sent --month 2017-01
    """
    place = wired(home)
    months = None if month is None else [f"{parse_month(month).first:%Y-%m}"]
    found = sendings(place.database(), months, done=False) if place.has_database else []
    rows = [{name: getattr(one, name) for name in _COLUMNS} for one in found]
    if not as_json_text:
        for row in rows:
            row |= {"checksum": row["checksum"][:12]} | {
                name: row[name] and f"{row[name]:%Y-%m-%d %H:%M}" for name in ("begun_at", "sent_at")
            }
    if rows or as_json_text:
        print_rows(rows, _COLUMNS, Shape.JSON if as_json_text else Shape.TABLE)
    else:
        complaints.print("nothing was sent yet", markup=False)


@app.command("check")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Files of messages, one message each.", show_default=False)
    ],
    as_json_text: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Judge messages as APEL's server would, whoever wrote them. Needs no home. Exit code 1 when it would refuse one.

    Example: gridkeeper export check messages/apel-2017-01-v0.4-summaries-0001.apel
    """
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            found = faults(file.read_bytes(), now())
        except OSError as error:
            raise UserMistake(f"{file} cannot be read: {error.strerror}") from error
        rows.append({"file": str(file), "accepted": not found, "faults": [vars(fault) for fault in found]})
        if not as_json_text:
            more = f" (and {len(found) - MOST_FAULTS:,} more)" if len(found) > MOST_FAULTS else ""
            why = "; ".join(map(str, found[:MOST_FAULTS])) + more
            console.print(
                f"{file}: {f'refused: {why}' if found else 'accepted'}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if as_json_text:
        print(as_json(rows))
    if not all(row["accepted"] for row in rows):
        raise typer.Exit(1)


def _deliveries(place: Wired, folder: Path | None, *, send: bool, dry_run: bool) -> list[Delivery]:
    """Where the messages go. Raises: UserMistake (permanent)."""
    settings = place.settings.apel
    if dry_run:
        return []
    found: list[Delivery] = [] if folder is None else [("files", partial(put_files, folder))]
    if send:
        if settings.queue is not None:
            queue = settings.queue
            found.append(("queue", lambda messages: put_in_queue(queue, messages, now())))
        if settings.ams is not None:
            from gridkeeper.exports.message_service import publish  # it takes a quarter of a second to import

            found.append(("ams", partial(publish, settings.ams)))
        if not settings.destinations:
            raise UserMistake(
                "no destination is named; write queue under [apel], or a table [apel.ams], in gridkeeper.toml"
            )
    if not found:
        raise UserMistake(
            "say where to: -o DIR for files, --send for the destinations of [apel], or --dry-run"
        )
    return found


def _say(feed: Feed, delivered: Sequence[str], folder: Path | None) -> None:
    found, now_told = feed.difference, feed.difference.now
    sizes = f"{len(feed.messages)} message{'' if len(feed.messages) == 1 else 's'}"
    console.print(
        f"{feed.told.month.name}, dialect {feed.dialect}, of {feed.told.source}: {len(feed.groups):,} groups in {sizes}; {now_told.jobs:,} jobs, "
        f"{now_told.wall_s:,} s wall, {now_told.cpu_s:,} s CPU, {now_told.normalised_cpu_s:,} s CPU normalised",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    if found.last is None:
        console.print("nothing was sent of this month in this dialect before", markup=False)
    else:
        last = f"what was sent {found.last.sent_at:%Y-%m-%d %H:%M} UTC ({found.last.destination})"
        said = (
            f"the same as {last}"
            if found.is_none
            else f"against {last}: {found.new:,} groups new, {found.changed:,} changed, {found.gone:,} gone (told with zeros), {found.same:,} the same"
        )
        console.print(said, highlight=False, markup=False, soft_wrap=True)
        _compare(found.by_place)
    for name in delivered:
        where = f"files in {folder}" if name == "files" else name
        console.print(f"handed over: {where}", highlight=False, markup=False, soft_wrap=True)
    for note in feed.told.notes:
        complaints.print(note, style="dim", highlight=False, markup=False, soft_wrap=True)


def _compare(places: Sequence[Change]) -> None:
    """Print the sites and VOs whose sums differ from what was sent last."""
    if not places:
        return
    heads = [Column(name, name not in ("site", "vo")) for name in ("site", "vo", "jobs before", "jobs now", "wall hours before", "wall hours now", "CPU hours before", "CPU hours now")]  # fmt: skip
    rows = []
    for one in places[:MOST_PLACES]:
        hours = [
            f"{seconds / SECONDS_PER_HOUR:,.1f}"
            for seconds in (one.before.wall_s, one.now.wall_s, one.before.cpu_s, one.now.cpu_s)
        ]
        rows.append([one.site, one.vo, f"{one.before.jobs:,}", f"{one.now.jobs:,}", *hours])
    print_table(heads, rows)
    if len(places) > MOST_PLACES:
        console.print(f"and {len(places) - MOST_PLACES:,} sites and VOs more; --json tells all", markup=False)


def _plain(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _plain(value) for key, value in told.items()}
    return [_plain(value) for value in told] if isinstance(told, list) else plain(told)
