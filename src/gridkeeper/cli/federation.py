"""`gridkeeper federation`: what the registry says, what is wrong with it, and which resource a source's records are of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.layout import Column
from gridkeeper.cli.output import as_json, complaints, console, print_table
from gridkeeper.cli.wiring import HomeOption, home_of, wired
from gridkeeper.errors import UserMistake
from gridkeeper.federation.behind import behind_kept
from gridkeeper.federation.checking import everything_wrong
from gridkeeper.federation.model import read_registry
from gridkeeper.federation.reading import joined
from gridkeeper.federation.showing import Thing, names_like, things
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.findings import counts, shared_names
from gridkeeper.federation.topology.history import Career, History, read_history
from gridkeeper.federation.topology.loading import FOLDERS, read_topology
from gridkeeper.federation.watching import Watch
from gridkeeper.queries.matching import STATES, Matched, sources
from gridkeeper.queries.periods import period_between
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from gridkeeper.config import Home

app = typer.Typer(
    help="The registry: facilities, sites, resource groups, resources, VOs, projects and downtimes, and what is wrong with them.",
    no_args_is_help=True,
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EXIT_FAULTS = 1
_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}
_ORDER = ("error", "warning", "note")


@app.command()
def check(
    severity: Annotated[
        str | None,
        typer.Option(help="Tell only these and worse: error, warning or note.", show_default=False),
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option(help="Tell only this code; may be repeated.", show_default=False)
    ] = None,
    json_text: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Report every fault of the registry at once: file, line, code, and what to do. Exits 1 where one is an error.

    Reads federation.yaml and, in the layout of the OSG topology, the folders topology/, virtual-organizations/, projects/
    and mappings/ of the home; of other registries, documents of GOCDB in gocdb/ and of CRIC in cric/. docs/registry.md
    explains each code.

    Examples:

    gridkeeper federation check --severity error

    gridkeeper federation check --code downtime-zone-sign --code shared-fqdn

    gridkeeper federation check --json
    """
    if severity is not None and severity not in _ORDER:
        raise UserMistake(f"--severity {severity!r} is none of {', '.join(_ORDER)}")
    said, found = _checked(home_of(home))
    worst = _ORDER if severity is None else _ORDER[: _ORDER.index(severity) + 1]
    told = [one for one in found if one.severity in worst and (not code or one.code in code)]
    if json_text:
        print(as_json({"counts": said, "findings": [_as_json(one) for one in told]}))
    else:
        for one in told:
            _tell(one)
        _sum_up(said, told)
    if any(one.severity == "error" for one in found):
        raise typer.Exit(EXIT_FAULTS)


def _checked(home: Home) -> tuple[dict[str, int], tuple[Fault, ...]]:
    """How much the registry holds, and what is wrong with it."""
    own = read_registry(home.federation)
    loaded = read_topology(home.path, home.cache)
    both, clashes = joined(own, loaded.topology)
    late = behind_kept(loaded, home.registry_history)
    return counts(loaded.topology), everything_wrong(own, both, loaded, [*clashes, *late])


def _as_json(one: Fault) -> dict[str, Any]:
    return {
        "code": one.code, "severity": one.severity, "file": one.file, "line": one.line, "message": one.message, "fix": one.fix,
    }  # fmt: skip


def _tell(one: Fault) -> None:
    where = f"{one.file}:{one.line}" if one.line else one.file
    text = f"{where}: {one.severity} {one.code}: {one.message}; {one.fix}"
    console.print(text, style=_COLOURS[one.severity], markup=False, highlight=False, soft_wrap=True)


def _sum_up(said: dict[str, int], told: list[Fault]) -> None:
    if told:
        console.print()
    for level in _ORDER:
        by_code = Counter(one.code for one in told if one.severity == level)
        if by_code:
            parts = ", ".join(f"{name} {number:,}" for name, number in by_code.most_common())
            line = f"{by_code.total():,} {level}{'s' if by_code.total() > 1 else ''}: {parts}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    held = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in said.items())
    console.print(held if told else f"nothing is wrong with {held}", highlight=False, soft_wrap=True)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A facility, site, resource group, resource, host, VO or project.")
    ],
    json_text: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show what the registry says of a name: of each thing that is called so.

    Examples:

    gridkeeper federation show Nebraska

    gridkeeper federation show red-gw1.unl.edu --json
    """
    place = home_of(home)
    known = Watch(place).known()
    topology, registry = known.loaded.topology, known.registry
    found = things(name, topology, registry)
    if not found:
        near = names_like(name, topology, registry)
        hint = f"; do you mean {' or '.join(near)}?" if near else ""
        raise UserMistake(f"the registry knows nothing called {name!r}{hint}")
    if json_text:
        print(as_json([one.as_plain() for one in found]))
        return
    for one in found:
        _show(one)


def _show(one: Thing) -> None:
    where = f" ({one.file}, line {one.line})" if one.file else ""
    console.print(
        f"{one.kind} {one.name}{where}", style="bold", markup=False, highlight=False, soft_wrap=True
    )
    width = max((len(key) for key in one.facts), default=0)
    for key, value in one.facts.items():
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            label = key if number == 0 else ""
            console.print(f"  {label:<{width}}  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print()


@app.command()
def match(
    name: Annotated[
        str | None,
        typer.Argument(help="Only sources that say this, or are booked on it.", show_default=False),
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="The first day, as 2017-01-31.", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option(help="The day after the last.", show_default=False)] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help=f"Only these: {', '.join(STATES)}; may be repeated.", show_default=False),
    ] = None,
    json_text: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say on which resource the records of each source are booked, and why; what is unmatched or ambiguous comes first.

    All records are counted, of whatever level and grid.

    Examples:

    gridkeeper federation match --state unmatched --state ambiguous

    gridkeeper federation match htcondor-ce:gate04.aglt2.org --json
    """
    for one in state or []:
        if one not in STATES:
            raise UserMistake(f"--state {one!r} is none of {', '.join(STATES)}")
    place = wired(home)
    period = period_between(first, until)
    books = place.books()
    if not books.holds("usage_records"):
        complaints.print("this home holds no records of jobs yet", highlight=False)
    shared = shared_names(place.watch.loaded().topology)
    found = [one for one in sources(books, shared, period) if _is_asked(one, name, state)]
    if json_text:
        print(as_json({"totals": _totals(found), "sources": [_source(one) for one in found]}))
        return
    _list(found)


def _list(found: list[Matched]) -> None:
    heads = [
        Column("state"),
        Column("says"),
        Column("probe"),
        Column("booked on"),
        Column("core hours", is_number=True),
        Column("why", is_free=True),
    ]
    print_table(
        heads,
        [
            [
                one.state,
                one.place or "",
                one.probe or "",
                one.resource or "",
                f"{one.core_seconds / SECONDS_PER_HOUR:,.1f}",
                _reason(one),
            ]
            for one in found
        ],
    )
    for name_of, sums in _totals(found).items():
        complaints.print(
            f"{name_of}: {sums['core_hours']:,.1f} core hours, {sums['jobs']:,} jobs", highlight=False
        )


def _is_asked(one: Matched, name: str | None, state: list[str] | None) -> bool:
    if state and one.state not in state:
        return False
    said = {
        (word or "").lower()
        for word in (one.place, one.probe, one.resource, one.site, (one.probe or "").rpartition(":")[2])
    }
    return name is None or name.lower() in said


def _reason(one: Matched) -> str:
    other = f"; the host of its probe is one of {one.other}" if one.other else ""
    days = f" from {one.valid_from}" if one.valid_from else ""
    days += f" until {one.valid_until}" if one.valid_until else ""
    return f"{one.why}{other}{f' ({days.strip()})' if days else ''}"


def _totals(found: list[Matched]) -> dict[str, dict[str, Any]]:
    """Jobs and core hours of each state that there is."""
    return {
        state: {
            "sources": sum(one.state == state for one in found),
            "jobs": sum(one.jobs for one in found if one.state == state),
            "core_hours": sum(one.core_seconds for one in found if one.state == state) / SECONDS_PER_HOUR,
        }
        for state in STATES
        if any(one.state == state for one in found)
    }


def _source(one: Matched) -> dict[str, Any]:
    told = {key: getattr(one, key) for key in Matched.__dataclass_fields__ if key != "core_seconds"}
    return told | {"core_hours": one.core_seconds / SECONDS_PER_HOUR}


@app.command()
def history(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Only what was ever called so: a resource, host, group, site or facility.",
            show_default=False,
        ),
    ] = None,
    repo: Annotated[
        Path | None,
        typer.Option(
            help="The registry's git checkout. Else the one that the home's topology/ lies in.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Keep it in the home: from then on records are matched as of their day."
        ),
    ] = False,
    json_text: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say since when each resource is called, placed and owned as it is, and what was before, by the registry's git history.

    Examples:

    gridkeeper federation history --repo /srv/registry --json

    gridkeeper federation history gate04.aglt2.org --repo /srv/registry

    gridkeeper federation history --repo /srv/registry --write
    """
    if write and name is not None:
        raise UserMistake("--write keeps the whole history; leave the name out")
    told = read_history(repo or (home_of(home).path / FOLDERS[0]).resolve().parent)
    if write:
        _keep(home_of(home), told)
        return
    wanted = [one for one in told.careers if name is None or _was_called(one, name.lower())]
    if json_text:
        resources = [_career(one) for one in wanted]
        print(as_json({"commits": told.commits, "unread": told.unread, "resources": resources}))
        return
    for one in wanted:
        _tell_career(one)
    for line in told.unread:
        complaints.print(f"no YAML, and passed over: {line}", markup=False, highlight=False, soft_wrap=True)
    if not wanted:
        complaints.print("nothing was ever called so", highlight=False)


def _tell_career(one: Career) -> None:
    former = f" (formerly {one.formerly})" if one.formerly else ""
    console.print(f"{one.name}{former}", style="bold", markup=False, highlight=False)
    for part in one.periods:
        when = f"{part.first or 'the beginning'} – {part.until or 'today'}"
        owners = ", ".join(f"{vo} {percent:g} %" for vo, percent in part.owners.items())
        words = [
            part.group,
            part.site,
            part.facility,
            ", ".join(part.hosts),
            owners,
            part.accounting_name,
        ]
        line = f"  {when:<26}  {'; '.join(word for word in words if word)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _keep(home: Home, told: History) -> None:
    """Put the history into the home, whole or not at all."""
    path = home.registry_history
    resources = [_career(one) for one in told.careers]
    new = path.with_suffix(".new")
    try:
        new.write_text(
            as_json({"commits": told.commits, "unread": told.unread, "resources": resources}),
            encoding="utf-8",
        )
        new.replace(path)
    except OSError as error:
        raise UserMistake(f"{path} cannot be written: {error.strerror}; let this user write it") from error
    complaints.print(
        f"{path}: {len(resources):,} names of {told.commits:,} commits; records are matched as of their day",
        highlight=False,
        soft_wrap=True,
    )


def _was_called(one: Career, name: str) -> bool:
    names = {one.name, one.formerly or ""}
    for part in one.periods:
        names |= {part.group, part.site, part.facility, *part.hosts}
    return name in {each.lower() for each in names}


def _career(one: Career) -> dict[str, Any]:
    periods = [
        {"from": part.first, "until": part.until, "commit": part.commit, "group": part.group, "site": part.site, "facility": part.facility,
         "id": part.id, "hosts": part.hosts, "owners": part.owners, "accounting_name": part.accounting_name,
         "apel_normal_factor": part.apel_normal_factor, "active": part.active}
        for part in one.periods
    ]  # fmt: skip
    return {"name": one.name, "formerly": one.formerly, "periods": periods}
