"""`gridkeeper federation`: what the registry says, what is wrong with it, and which resource a source's records are of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.output import as_json, console
from gridkeeper.cli.wiring import HomeOption, home_of
from gridkeeper.errors import UserMistake
from gridkeeper.federation.model import read_registry
from gridkeeper.federation.names import doubts
from gridkeeper.federation.reading import joined, read_home
from gridkeeper.federation.showing import Thing, names_like, things
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.findings import counts, findings
from gridkeeper.federation.topology.loading import read_topology

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
    and mappings/ of the home. docs/registry.md explains each code.

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


def _checked(home: Home) -> tuple[dict[str, int], list[Fault]]:
    """How much the registry holds, and what is wrong with it."""
    own = read_registry(home.federation)
    loaded = read_topology(home.path, home.cache)
    both, clashes = joined(own, loaded.topology)
    fix = "list it under vos, or mend the name"
    doubted = [
        Fault("unknown-vo", "warning", home.federation.name, 0, doubt, fix)
        for doubt in doubts(own.model_copy(update={"vos": both.vos}))
    ]
    found = [*doubted, *clashes, *findings(loaded)]
    return counts(loaded.topology), sorted(found, key=lambda one: (one.file, one.line, one.code))


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
    topology = read_topology(place.path, place.cache).topology
    registry = read_home(place)
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
