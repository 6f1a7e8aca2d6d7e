"""`gridkeeper quarantine`: what was refused, why, and what becomes of it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from gridkeeper.cli.layout import Column
from gridkeeper.cli.output import console, print_table
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.errors import UserMistake
from gridkeeper.intake import quarantine as kept
from gridkeeper.records.rules import REMEDY, Rule
from gridkeeper.trust.audit import local_user

app = typer.Typer(
    help="See what was refused and why; read it again, or discard it with a reason.", no_args_is_help=True
)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Refusals by id, or the beginning of it.")
]
RuleOption = Annotated[str | None, typer.Option("--rule", help="Only this rule.")]
ProbeOption = Annotated[str | None, typer.Option("--probe", help="Only of this probe.")]
ResourceOption = Annotated[str | None, typer.Option("--resource", help="Only of this resource.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
_LISTED = ("rule", "format", "probe", "resource", "state", "texts", "times", "first seen", "last seen")


def _choice(
    ids: list[str] | None,
    rule: str | None,
    probe: str | None,
    resource: str | None,
    state: str | None = kept.OPEN,
) -> kept.Choice:
    if rule is not None and rule not in set(Rule):
        raise UserMistake(f"there is no rule {rule!r}; docs/records.md lists them: {', '.join(Rule)}")
    return kept.Choice(tuple(ids or ()), rule, probe, resource, state)


@app.command("list")
def list_(
    rule: RuleOption = None,
    probe: ProbeOption = None,
    resource: ResourceOption = None,
    every: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say what was refused, by rule and probe: how often, since when, until when.

    [bold]Examples[/]

        gridkeeper quarantine list

        gridkeeper quarantine list --probe condor:ce.example.org --json
    """
    found = kept.groups(
        wired(home).database(), _choice(None, rule, probe, resource, None if every else kept.OPEN)
    )
    if as_json:
        print(json.dumps([vars(group) for group in found], default=str, indent=2))
        return
    if not found:
        console.print("nothing is in the quarantine")
        return
    numbers = ("texts", "times")
    print_table(
        [Column(name, name in numbers) for name in _LISTED],
        [
            (
                group.rule, group.format, group.probe or "", group.resource or "", group.state, f"{group.texts:,}", f"{group.count:,}",
                f"{group.first_seen:%Y-%m-%d %H:%M}", f"{group.last_seen:%Y-%m-%d %H:%M}",
            )
            for group in found
        ],
    )  # fmt: skip


@app.command()
def show(
    ids: Ids = None,
    rule: RuleOption = None,
    probe: ProbeOption = None,
    resource: ResourceOption = None,
    most: Annotated[int, typer.Option("--most", min=1, help="At most so many.")] = 10,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show refusals with their text: what was found, which rule it breaks, and what to do.

    [bold]Example[/]

        gridkeeper quarantine show --rule end_before_start
    """
    rows = kept.entries(wired(home).database(), _choice(ids, rule, probe, resource), most)
    if as_json:
        print(json.dumps([_said(row) for row in rows], default=str, indent=2))
        return
    for row in rows:
        console.print(f"[bold]{row.id}[/]  {row.rule}  {row.source}, line {row.line}", highlight=False)
        console.print(f"  {row.reason}; {REMEDY[Rule(row.rule)]}", markup=False, soft_wrap=True)
        console.print(f"  seen {row.times:,} times, last {row.last_seen:%Y-%m-%d %H:%M} UTC", highlight=False)
        text = row.text.decode("utf-8", "backslashreplace")
        console.print(
            "  | " + text[:2000].replace("\n", "\n  | "), markup=False, highlight=False, soft_wrap=True
        )
    if not rows:
        console.print("nothing of that is in the quarantine")


@app.command()
def retry(
    ids: Ids = None,
    rule: RuleOption = None,
    probe: ProbeOption = None,
    resource: ResourceOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Read refusals again, after what refused them was mended; what is refused again stays.

    A batch that was set aside as a whole is handed back to the loader. Where a bundle only had fewer records than it
    promised nothing was refused: that is told, and stays until it is discarded.

    [bold]Examples[/]

        gridkeeper quarantine retry 3f2a91

        gridkeeper quarantine retry --rule not_allowed
    """
    from gridkeeper.intake.retrying import retry as read_again

    place = wired(home)
    done = read_again(place.database(), place.lake, _choice(ids, rule, probe, resource), local_user())
    place.refresh()
    if as_json:
        print(json.dumps(vars(done)))
        return
    console.print(
        f"loaded {done.loaded:,}, refused again {done.refused:,}, batches handed back to the loader {done.handed_back:,}"
    )
    if done.incomplete:
        console.print(
            f"{done.incomplete:,} are kept in part only; `gridkeeper replay` reads their batches again"
        )
    if done.told_only:
        console.print(
            f"{done.told_only:,} only tell that a bundle had other than the promised number of records; nothing of them was"
            " refused, `gridkeeper quarantine discard --rule bundle_size --reason TEXT` closes them",
            soft_wrap=True,
        )
    if done.failed:
        console.print(f"{done.failed:,} could not be read and stay open:", soft_wrap=True)
    for sentence in done.sentences:
        console.print(f"  {sentence}", markup=False, soft_wrap=True)


@app.command()
def discard(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept beside the text.")],
    ids: Ids = None,
    rule: RuleOption = None,
    probe: ProbeOption = None,
    resource: ResourceOption = None,
    home: HomeOption = None,
) -> None:
    """Close refusals for good; the text and the reason are kept.

    The body of a batch that was set aside goes to the archive, unless it is short and kept here whole, and leaves the inbox.

    [bold]Example[/]

        gridkeeper quarantine discard --rule binary_junk --reason "a disk test of carol's"
    """
    from gridkeeper.intake.retrying import discard as close

    if not (ids or rule or probe or resource):
        raise UserMistake(
            "name refusals by id, --rule, --probe or --resource; nothing is discarded wholesale"
        )
    place = wired(home)
    count = close(place.database(), place.lake, _choice(ids, rule, probe, resource), local_user(), reason)
    console.print(f"discarded {count:,}")


def _said(row: object) -> dict[str, object]:
    said = dict(row._mapping)  # type: ignore[attr-defined]
    for name in ("text", "context"):
        said[name] = said[name].decode("utf-8", "backslashreplace")
    return said | {"remedy": REMEDY[Rule(said["rule"])]}
