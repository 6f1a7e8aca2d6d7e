"""`gridkeeper audit`: who changed what, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.output import Shape, complaints, console, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from gridkeeper.trust.audit import Entry

app = typer.Typer(
    help="What changed the state of this home: when, who, from where, what. Rows are only ever added.",
    no_args_is_help=True,
)
COLUMNS = ("at", "who", "address", "act", "subject", "details")
MOST_AT_ONCE = 500


@app.command("list")
def list_(
    since: Annotated[
        str | None, typer.Option(help="From this day or moment on, as 2017-02-07 (UTC).", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="Before this day or moment, as 2017-02-08T06:00 (UTC).", show_default=False),
    ] = None,
    who: Annotated[
        str | None, typer.Option(help="Only of this one, as 'local carol' or loader.", show_default=False)
    ] = None,
    act: Annotated[
        str | None,
        typer.Option(help="Only this act, as token.create, or all of a noun, as token.", show_default=False),
    ] = None,
    json_text: Annotated[bool, typer.Option("--json", help="Print JSON, all of it.")] = False,
    home: HomeOption = None,
) -> None:
    """List what was done, newest first; after 500 it ends and says so, JSON has everything.

    Examples:

    gridkeeper audit list --since 2017-02-01 --act token

    gridkeeper audit list --who loader --json
    """
    place = wired(home)
    wanted = {"since": _moment("--since", since), "until": _moment("--until", until), "who": who, "act": act}
    if not place.has_database:  # nothing was done yet, and asking makes no database
        if json_text:
            print_rows([], COLUMNS, Shape.JSON)
        else:
            complaints.print("nothing was done yet that is written down", highlight=False)
        return
    with reading(place.database()) as connection:
        if json_text:
            rows = [vars(entry) for entry in _all(connection, wanted)]
            print_rows(rows, ("id", *COLUMNS), Shape.JSON)
            return
        found = audit.entries(connection, **wanted, limit=MOST_AT_ONCE + 1)  # type: ignore[arg-type]
    for entry in found[:MOST_AT_ONCE]:
        _tell(entry)
    if not found:
        complaints.print("nothing of that was done", highlight=False)
    if len(found) > MOST_AT_ONCE:
        complaints.print(
            f"there is more before {found[MOST_AT_ONCE - 1].at:%Y-%m-%dT%H:%M}; name it with --until, or ask for --json",
            highlight=False,
            soft_wrap=True,
        )


def _all(connection: sa.Connection, wanted: dict[str, Any]) -> Iterator[Entry]:
    before = None
    while found := audit.entries(connection, **wanted, before=before, limit=audit.MOST_ENTRIES_AT_ONCE):
        yield from found
        before = found[-1].id


def _tell(entry: Entry) -> None:
    """One entry in a line, and its details in another: both may be long, and no table folds them well."""
    who = f"{entry.who} from {entry.address}" if entry.address else entry.who
    details = ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in entry.details.items()
        if value not in (None, [], {})
    )
    lines = [f"{entry.at:%Y-%m-%d %H:%M:%S}  {who}  {entry.act}  {entry.subject}"]
    for line in [*lines, f"    {details}"] if details else lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserMistake(
            f"{option} {text!r} is no day; write it as 2017-02-07 or 2017-02-07T06:00"
        ) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
