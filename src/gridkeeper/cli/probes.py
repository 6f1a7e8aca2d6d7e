"""`gridkeeper probes`: which sources report, and which need care."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from gridkeeper.cli.layout import Column
from gridkeeper.cli.nothing import of_no_grid
from gridkeeper.cli.output import as_json as json_text
from gridkeeper.cli.output import complaints, console, print_table
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.clock import now
from gridkeeper.monitoring.missing import INTERVAL_PART
from gridkeeper.monitoring.silence import source_states
from gridkeeper.monitoring.states import Silence, SourceState, State
from gridkeeper.queries.periods import parse_day
from gridkeeper.reports.silence_json import sources_said
from gridkeeper.reports.silence_sentences import named
from gridkeeper.reports.wording import UNKNOWN, rough, whole

COLOURS = {
    State.SILENT: "bold red",
    State.NEVER_SEEN: "bold red",
    State.LATE: "yellow",
    State.DOWNTIME: "cyan",
    State.IDLE: "dim",
    State.REPORTING: "green",
    State.DISABLED: "dim",
}
TABLE_FROM_COLUMNS = 140
QUIET = (State.REPORTING, State.IDLE, State.DISABLED)
FilterArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="Only sources whose resource, site or probe holds this.", show_default=False
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Those that report, are idle or disabled, too; else they are counted.")
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="The moment asked for, as 2017-02-07 (00:00 UTC). Else now.", show_default=False),
]  # fmt: skip


def probes(
    name: FilterArgument = None, all_of_them: AllOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every source as JSON, unrounded.")] = False,
    as_of: AsOfOption = None, home: HomeOption = None,
) -> None:  # fmt: skip
    """Say which sources report and which need care: silent, late or never seen; since when, what is missing, and who to ask.

    A source is a probe, a resource and a level of records: batch, payload, transfer, storage (space measured) or reported
    (sums a month). What a home that is loaded by hand knows of its sources it
    learns from their records alone.

    Examples:

    gridkeeper probes

    gridkeeper probes Utah --as-of 2017-02-07

    gridkeeper probes --json
    """
    place = wired(home)
    moment = datetime.combine(parse_day(as_of), datetime.min.time(), UTC) if as_of else now()
    heard = place.heard(moment)
    books = place.books()
    found = source_states(
        books, moment, heard, history_days=place.settings.silence.history_days, announced=place.announced(now())
    )  # fmt: skip
    chosen = tuple(one for one in found.sources if name is None or _holds(one, name))
    found = Silence(found.moment, found.until, found.heard, chosen, found.nothing_since)
    if as_json:
        print(json_text(sources_said(found, all_of_them=True)))
        return
    listed = [one for one in chosen if all_of_them or name is not None or one.state not in QUIET]
    if console.is_terminal and console.width < TABLE_FROM_COLUMNS:
        for one in listed:
            console.print(_lines(one), soft_wrap=True)
    elif listed:
        _print_table(listed)
    complaints.print(
        _in_short(found, len(chosen) - len(listed)),
        style="dim",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if warning := of_no_grid(books):
        complaints.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _holds(one: SourceState, name: str) -> bool:
    words = (one.resource, one.site, one.probe, *one.resources)
    return any(name.lower() in word.lower() for word in words if word)


def _print_table(listed: list[SourceState]) -> None:
    """The table, with columns of contacts and backlogs where any are known, and why where there is anything to say."""
    heard, said_why = any(one.heard for one in listed), any(one.why for one in listed)
    columns = [
        *(Column(name) for name in ("resource", "probe", "level", "state", "since", "last record")),
        *([Column("last contact"), Column("backlog", is_number=True)] if heard else []),
        Column("missing core hours", is_number=True), Column(f"with {100 * INTERVAL_PART:.0f} % chance"),
        *(Column(name, is_free=True) for name in ("ask", *(["why"] if said_why else []))),
    ]  # fmt: skip
    rows: list[list[str | Text]] = []
    for one in listed:
        contact = (_moment(one.last_contact_at), _backlog(one)) if heard else ()
        rows.append([
            named(one), one.probe or UNKNOWN, one.level or UNKNOWN, _state(one), _moment(one.since), str(one.last_day or UNKNOWN), *contact,
            whole(one.missing.core_hours) if one.missing else "", _interval(one), _ask(one), *(["; ".join(one.why)] if said_why else []),
        ])  # fmt: skip
    print_table(columns, rows)


def _lines(one: SourceState) -> Text:
    """The same of one source in a few lines, for narrow terminals."""
    facts = [
        f"since {_moment(one.since)}" if one.since else "",
        f"last record {one.last_day}" if one.last_day else "",
        f"last contact {_moment(one.last_contact_at)}, backlog {_backlog(one)}" if one.heard else "",
        f"missing core hours {whole(one.missing.core_hours)} (with {100 * INTERVAL_PART:.0f} % chance {_interval(one)})" if one.missing else "",
    ]  # fmt: skip
    lines = [facts, list(one.why), [f"ask {_ask(one)}" if one.ask else ""]]
    below = "".join(f"\n    {'; '.join(filter(None, line))}" for line in lines if any(line))
    return Text.assemble(
        _state(one), f"  {named(one)}  {one.level or UNKNOWN}  {one.probe or UNKNOWN}", (below, "dim")
    )


def _state(one: SourceState) -> Text:
    return Text(f"{one.state.value} in part" if one.is_partial else one.state.value, COLOURS[one.state])


def _interval(one: SourceState) -> str:
    return f"{rough(one.missing.low)} to {rough(one.missing.high)}" if one.missing else ""


def _ask(one: SourceState) -> str:
    return ", ".join(f"{who.name} <{who.email}>" if who.email else who.name for who in one.ask) or UNKNOWN


def _backlog(one: SourceState) -> str:
    return one.backlog.words if one.backlog.is_told else UNKNOWN


def _moment(moment: datetime | None) -> str:
    return UNKNOWN if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _in_short(found: Silence, left_out: int) -> str:
    """How many are in which state, as of when, and from what that is known."""
    counts = ", ".join(f"{number} {state.value}" for state, number in found.counts.items()) or "no sources"
    said = [f"{counts}; days before {found.until} were judged"]
    if left_out:
        said.append("--all lists the others")
    if found.nothing_since:
        said.append(
            f"nothing at all has come since {found.nothing_since}, so this is how it was then; was nothing loaded since?"
        )
    if not found.heard:
        said.append("no probe of this home was ever heard, so all is learnt from records alone")
    return "; ".join(said)
