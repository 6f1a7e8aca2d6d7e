"""`gridkeeper downtimes`: announced, changed and called off here; read from and written to every form; two sides compared."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gridkeeper.cli import downtime_places as places
from gridkeeper.cli.output import Shape, as_json, complaints, console, plain, print_rows
from gridkeeper.cli.wiring import HomeOption, wired
from gridkeeper.clock import now
from gridkeeper.database import writing
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import lints, store, words
from gridkeeper.federation.downtimes.announcing import Wish, drafted, end_of
from gridkeeper.federation.downtimes.forms import read_path
from gridkeeper.federation.downtimes.gathering import DATABASE, Told
from gridkeeper.federation.downtimes.mapper import placed
from gridkeeper.federation.downtimes.model import Row, Severity
from gridkeeper.federation.downtimes.reconciling import by_reason, reconcile
from gridkeeper.federation.downtimes.revising import Kept
from gridkeeper.trust import audit

app = typer.Typer(
    help="Announce, extend and cancel downtimes; import, export and compare them in the forms of OSG, GOCDB, AGIS and CRIC.",
    no_args_is_help=True,
)
MOST_SHOWN = 60
_COLUMNS = ("id", "state", "kept_in", "class", "severity", "from", "until", "resources", "text")

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")]
Name = Annotated[
    str, typer.Argument(metavar="ID", help="Its id, the beginning of it, or the id of one of its entries.")
]
ResourceOption = Annotated[
    list[str] | None,
    typer.Option("--resource", help="A resource that is down; again for more.", show_default=False),
]
SiteOption = Annotated[
    str | None,
    typer.Option("--site", help="All resources of this site or resource group.", show_default=False),
]
ConsumerOption = Annotated[
    words.Consumer, typer.Option("--consumer", help="Who acts on it: for atlas only an Outage is one, for cms Severe is, too.")
]  # fmt: skip


@app.command("list")
def list_downtimes(
    state: Annotated[
        str | None,
        typer.Option(
            "--state", help="past, current, future, cancelled or all; else current and future ones."
        ),
    ] = None,
    resource: ResourceOption = None,
    site: SiteOption = None,
    findings: Annotated[bool, typer.Option("--findings", help="What is wrong with each, too.")] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List downtimes: those announced or imported here, and those in the registry's files.

    Examples:

    gridkeeper downtimes list --state all --site Utah

    gridkeeper downtimes list --findings --json
    """
    states = {"past", "current", "future", "cancelled"}
    if state is not None and state not in states | {"all"}:
        raise UserMistake(f"there is no state {state!r}; say one of {', '.join(sorted(states))} or all")
    place, moment = wired(home), now()
    directory = places.directory_of(place)
    wanted = states if state == "all" else {state} if state else {"current", "future"}
    found = [each for each in places.everything(place) if each.state(moment) in wanted]
    if site is not None:
        resource = [*(resource or []), *(machine.name for machine in directory.must_have_site(site))]
    if resource is not None:
        names = {name.lower() for name in resource}
        found = [each for each in found if names & {name.lower() for name in each.incident.resources}]
    rows = [places.as_row(each, moment) for each in found]
    if findings:
        for told, row in zip(found, rows, strict=True):
            judged = lints.lint(told.incident.rows, directory)
            row["findings"] = list(dict.fromkeys(finding.lint.value for finding in judged))
    if json:
        print(as_json([{key: plain(value) for key, value in row.items()} for row in rows]))
        return
    columns = (*_COLUMNS, "findings") if findings else _COLUMNS
    for row in rows:
        row["resources"] = _listed(row["resources"])
        row["findings"] = ", ".join(row.get("findings", ()))
        row["text"] = " ".join(row["text"].split())[:MOST_SHOWN]
        row["from"], row["until"] = (_minute(row[key]) for key in ("from", "until"))
    print_rows(rows, columns, Shape.TABLE, free=("resources", "text", "findings"))
    if not rows:
        complaints.print("no such downtimes")


@app.command()
def add(
    description: Annotated[str, typer.Option("--description", "-d", help="What is done, and what users notice.")],
    until: Annotated[str, typer.Option("--until", help="Its end, as 2026-12-02T18:00 (UTC, or with a zone), or open.")],
    start: Annotated[
        str | None, typer.Option("--from", help="Its start, as 2026-12-01T08:00 or 'Dec 1, 2026 08:00 -0600'. Else now.")
    ] = None,
    resource: ResourceOption = None,
    site: SiteOption = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only these services; again for more. Else all that each has.")
    ] = None,
    severity: Annotated[
        str, typer.Option("--severity", help="Outage, Severe, Intermittent Outage or No Significant Outage Expected.")
    ] = Severity.OUTAGE.value,
    declared: Annotated[
        str | None, typer.Option("--class", help="SCHEDULED or UNSCHEDULED. Else by the rule of 24 hours.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be announced, and keep nothing.")] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Announce a downtime of resources, or of a whole site.

    Examples:

    gridkeeper downtimes add --site Utah --from 2026-12-01T08:00 --until 2026-12-02T18:00 -d "new cooling"

    gridkeeper downtimes add --resource Utah-SE --service SRMv2 --until open -d "a disk is broken" --severity Severe
    """
    place, moment = wired(home), now()
    directory = places.directory_of(place)
    if bool(resource) == (site is not None):
        raise UserMistake("name what is down: --resource NAME (again for more), or --site NAME")
    wish = Wish(
        until, description, tuple(resource or ()), site, tuple(service or ()), start or "", severity, declared or ""
    )  # fmt: skip
    rows = drafted(directory, wish, moment)
    if dry_run:
        kept = None
    else:
        with writing(place.database()) as connection:
            kept = store.announce(connection, rows, audit.local_user(), moment)
            audit.record(connection, audit.local_user(), "downtime.announce", kept.id, _details(kept))
    _tell(kept, rows, moment, json=json)
    for finding in lints.lint(rows, directory):
        if finding.lint is not lints.Lint.NO_ID:
            complaints.print(
                f"{finding.message}; {finding.fix}", markup=False, highlight=False, soft_wrap=True
            )


@app.command()
def extend(
    name: Name,
    until: Annotated[str, typer.Option("--until", help="The new end, later or earlier, or open.")],
    reason: ReasonOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Give a downtime another end. What it was before stays in its history; an end in the past ends it early.

    Example: gridkeeper downtimes extend 3f2a91 --until 2026-12-03T12:00 --reason "the pump came late"
    """
    place, moment = wired(home), now()
    with writing(place.database()) as connection:
        kept = store.extend(connection, name, end_of(until), audit.local_user(), moment, reason)
        audit.record(connection, audit.local_user(), f"downtime.{kept.last.act}", kept.id, _details(kept))
    _tell(kept, kept.last.rows, moment, json=json)


@app.command()
def cancel(name: Name, reason: ReasonOption, json: JsonOption = False, home: HomeOption = None) -> None:
    """Call a downtime off. One that has begun ends now instead: what happened stays.

    Example: gridkeeper downtimes cancel 3f2a91 --reason "the vendor does not come"
    """
    place, moment = wired(home), now()
    with writing(place.database()) as connection:
        kept = store.cancel(connection, name, audit.local_user(), moment, reason)
        audit.record(connection, audit.local_user(), f"downtime.{kept.last.act}", kept.id, _details(kept))
    _tell(kept, kept.last.rows, moment, json=json)


def _details(kept: Kept) -> dict[str, Any]:
    """What the audit tells of a change."""
    window = kept.incident.window
    return {
        "resources": list(kept.incident.resources), "from": plain(window.start.at), "until": plain(window.until),
        "severity": kept.incident.first.severity.value, "reason": kept.last.reason,
    }  # fmt: skip


def _tell(kept: Kept | None, rows: tuple[Row, ...] | list[Row], moment: datetime, *, json: bool) -> None:
    if json:
        told = places.as_row(Told(DATABASE, kept.incident, kept) if kept else places.drafted(rows), moment)
        print(as_json({key: plain(value) for key, value in told.items()}))
        return
    window = rows[0].window
    end = f"until {_minute(window.until)} UTC" if window.until else "with no end yet"
    what = {"announce": "is announced", "end-early": "ends early", "cancel": "is cancelled"}.get(
        kept.last.act.value if kept else "", "has another end"
    )
    name = f"downtime {kept.id} {what}" if kept else "would be announced"
    who = _listed([row.resource or row.host or row.site or "" for row in rows])
    console.print(
        f"{name}: {who}, {rows[0].declared_class}, {rows[0].severity}, from {_minute(window.start.at)} {end}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


@app.command("import")
def import_downtimes(
    path: Annotated[Path, typer.Argument(help="A file or folder: topology YAML, rgdowntime or GOCDB XML, AGIS or CRIC JSON, iCal.")],
    strict: Annotated[bool, typer.Option("--strict", help="Keep nothing where an entry is refused.")] = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Take in downtimes from a document. The same document again changes nothing; what differs is a revision.

    Hosts that are those of one of our resources get its name.

    Example: gridkeeper downtimes import gocdb.xml
    """
    place = wired(home)
    reading = read_path(path)
    rows = placed(reading.rows, places.directory_of(place))
    lost = [refused for refused in reading.refused if refused.lost]
    if not (strict and lost):
        with writing(place.database()) as connection:
            done = store.take_in(connection, rows, audit.local_user(), now(), f"imported from {path.name}")
            counts = {
                "entries": len(reading.rows), "new": len(done.new), "changed": len(done.changed), "same": done.same,
                "vanished": len(done.vanished), "refused": len(lost),
            }  # fmt: skip
            audit.record(connection, audit.local_user(), "downtime.import", str(path), counts)
    else:
        counts = {"entries": len(reading.rows), "refused": len(lost)}
    if json:
        told = [{"place": str(one.place), "reason": one.reason, "lost": one.lost} for one in reading.refused]
        print(as_json(counts | {"refusals": told}))
    else:
        console.print(", ".join(f"{name} {count:,}" for name, count in counts.items()), highlight=False)
        for refused in reading.refused:
            complaints.print(
                f"{refused.place}: {refused.reason}", markup=False, highlight=False, soft_wrap=True
            )
    if lost:
        raise typer.Exit(1)


@app.command()
def export(
    form: Annotated[places.Form, typer.Argument(help="topology, gocdb, cric or ical.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file; for topology the folder of the registry.")],
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    consumer: ConsumerOption = words.Consumer.ATLAS,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Write downtimes out. Into a topology only what was announced or imported here goes, and only what differs is touched.

    What of a downtime the form cannot carry is said, part by part, with the reason.

    Examples:

    gridkeeper downtimes export cric -o downtimes.json

    gridkeeper downtimes export topology -o /srv/topology
    """
    place, moment = wired(home), now()
    told = places.exported(place, form, output, consumer, moment, past_too=all_of_them)
    if told.get("files"):
        place.audited("downtime.export", str(output), {"files": told["files"], "downtimes": told["written"]})
    if json:
        print(as_json(told))
        return
    lost = told["undelivered"]
    console.print(
        f"wrote {told['written']:,} downtimes to {output}", highlight=False, markup=False, soft_wrap=True
    )
    for part in lost:
        complaints.print(
            f"{part['id']} ({part['resource'] or 'no resource'}){part['service'] and ', ' + part['service']}: {part['sentence']}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


@app.command("reconcile")
def reconcile_sides(
    ours: Annotated[Path, typer.Argument(help="Our side: a file or folder of any known form.")],
    others: Annotated[Path, typer.Argument(metavar="THEIRS", help="The other side: a file or folder of any known form.")],
    topology: Annotated[
        Path | None, typer.Option("--topology", help="Where our resources are described. Else beside OURS, else in the home.")
    ] = None,
    consumer: ConsumerOption = words.Consumer.ATLAS,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:  # fmt: skip
    """Compare two sides entry by entry and give a reason for each difference. Every entry of both is accounted for.

    Example: gridkeeper downtimes reconcile /srv/topology/topology agis.json
    """
    mine, their = read_path(ours), read_path(others)
    told = reconcile(mine.rows, their.rows, places.beside(ours, topology, home), consumer)
    refused = [(str(one.place), one.reason) for side in (mine, their) for one in side.refused if one.lost]
    if json:
        print(
            as_json(asdict(told) | {"refused": [{"place": where, "reason": why} for where, why in refused]})
        )
        return
    for side, total, outcomes in (("ours", told.ours, told.of_ours), ("theirs", told.theirs, told.of_theirs)):
        parts = ", ".join(
            f"{name} {count:,}" for name, count in sorted(outcomes.items(), key=lambda each: -each[1])
        )
        console.print(
            f"{side}: {total:,} = {parts or 'nothing'}", highlight=False, markup=False, soft_wrap=True
        )
    parts = ", ".join(f"{name} {count:,}" for name, count in told.parts.items())
    console.print(
        f"services of those in both: {parts or 'none'}\n", highlight=False, markup=False, soft_wrap=True
    )
    rows = [
        {"what": what, "reason": reason, "how often": count}
        for what, reason, count in by_reason(told.differences)
    ]
    print_rows(rows, ("what", "reason", "how often"), Shape.TABLE)
    shown = [each for each in told.differences if each.what != "downtime"]
    for each in [*shown, *(each for each in told.differences if each.what == "downtime")][:MOST_SHOWN]:
        line = f"{each.id or '–'} {each.resource or '–'}, {each.what}: {each.sentence}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if len(told.differences) > MOST_SHOWN:
        console.print(f"... and {len(told.differences) - MOST_SHOWN:,} more; --json has all", highlight=False)
    for where, why in refused:
        complaints.print(f"{where}: {why}", markup=False, highlight=False, soft_wrap=True)


def _listed(names: list[str]) -> str:
    told = list(dict.fromkeys(names))
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "")


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"
