"""`gridkeeper corrections`: reviewed rules that change what summaries make of records; previewed, applied, revoked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.output import Shape, as_json, complaints, plain, print_rows
from gridkeeper.cli.wiring import HomeOption, Wired, wired
from gridkeeper.errors import BadConfiguration, UserMistake
from gridkeeper.queries.corrected import Amounts, Line, Preview, preview
from gridkeeper.summaries.corrections import keeping
from gridkeeper.summaries.corrections.doubts import doubts
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.summaries.corrections.keeping import Applied, Filed
from gridkeeper.summaries.corrections.reading import files_of, read_corrections
from gridkeeper.trust.audit import local_user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.summaries.corrections.rules import Rule

app = typer.Typer(
    help="Corrections: rules in the home's folder corrections that change what summaries make of records, and never the records.",
    no_args_is_help=True,
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FileArgument = Annotated[
    Path,
    typer.Argument(
        help="A file of corrections; a bare name is one of the home's folder corrections.", show_default=False
    ),
]
MOST_LINES = 100
COLUMNS = (
    "id", "state", "act", "changes", "first", "until", "reason", "author", "ticket", "file", "content_hash",
    "applied_at", "applied_by", "revoked_at", "revoked_by", "revoked_because",
)  # fmt: skip
TABLE_COLUMNS = ("id", "state", "does", "days", "applied", "by", "ticket", "reason")


@app.command("list")
def list_(json: JsonOption = False, home: HomeOption = None) -> None:
    """List the corrections of the home's files and those that are or were in force.

    A correction stays in force as it was applied until it is revoked or applied anew, whatever its file says meanwhile.

    Example: gridkeeper corrections list
    """
    place = wired(home)
    faults = ""
    try:
        filed = read_corrections(files_of(place.home.corrections))
    except BadConfiguration as error:
        filed, faults = [], str(error)
    rows = _listed(filed, keeping.history(place.database()) if place.has_database else [], known=not faults)
    if json:
        print(as_json([{column: plain(row[column]) for column in COLUMNS} for row in rows]))
    else:
        for row in rows:
            row["does"] = row["act"] if row["act"] in ("exclude", "add") else f"{row['act']} {row['changes']}"
            row["days"] = f"{row['period']}"
            row["applied"] = f"{row['applied_at']:%Y-%m-%d %H:%M}" if row["applied_at"] else None
            row["by"] = row["applied_by"]
        print_rows(rows, TABLE_COLUMNS, Shape.TABLE, free=("reason",))
    if faults:
        raise BadConfiguration(faults)


@app.command("preview")
def preview_(file: FileArgument, json: JsonOption = False, home: HomeOption = None) -> None:
    """Say what the corrections of a file would change, by VO, site and month; nothing is written.

    Before is what counts now, with the corrections in force. A correction of the file takes the place of the one in force under its id.

    Examples:

    gridkeeper corrections preview nebraska.yaml

    gridkeeper corrections preview ../proposals/nebraska.yaml --json
    """
    place = wired(home)
    filed = read_corrections([_path(place, file)])
    found = preview(place.books(), _with(place, filed))
    _tell(place, found, json=json)


@app.command("apply")
def apply_(file: FileArgument, json: JsonOption = False, home: HomeOption = None) -> None:
    """Put the corrections of a file in force, and bring the summaries up to them: only the days that they touch.

    The file must lie in the home's folder corrections. Who applied what is kept, in the audit, too; records never change.

    Example: gridkeeper corrections apply nebraska.yaml
    """
    place = wired(home)
    path = _path(place, file)
    if path.parent.resolve() != place.home.corrections.resolve():
        raise UserMistake(
            f"{path} is not in {place.home.corrections}, where the corrections of this home are kept and reviewed; "
            "copy it there, and name it again"
        )
    filed = [one for one in read_corrections(files_of(place.home.corrections)) if one.file == path.name]
    found = preview(place.books(), _with(place, filed))
    applied = keeping.apply(place.database(), filed, local_user())
    _finish(place, found, applied=[one.rule.id for one in applied], json=json)


@app.command()
def revoke(
    ids: Annotated[list[str], typer.Argument(help="The ids of corrections in force.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; it is kept.", show_default=False)],
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take corrections out of force; the numbers are again what they were without them, to the digit.

    Example: gridkeeper corrections revoke nebraska-cores-2017-01 --reason "the site reports it right now, see GGUS 1234"
    """
    place = wired(home)
    now = place.corrections()
    found = preview(place.books(), _following(now, tuple(rule for rule in now.rules if rule.id not in ids)))
    keeping.revoke(place.database(), ids, local_user(), reason)
    _finish(place, found, revoked=list(dict.fromkeys(ids)), json=json)


def _path(place: Wired, file: Path) -> Path:
    """The file that was named. Raises: UserMistake (permanent) where there is none."""
    names = (file, place.home.corrections / file, place.home.corrections / f"{file}.yaml")
    for path in names if len(file.parts) == 1 else names[:1]:
        if path.is_file():
            return path
    there = ", ".join(path.name for path in files_of(place.home.corrections)) or "no file of corrections"
    raise UserMistake(f"there is no file {file}; in {place.home.corrections} there is: {there}")


def _with(place: Wired, filed: Iterable[Filed]) -> Corrections:
    """Those in force, with those of a file in the place of what has their ids."""
    now = place.corrections()
    if not place.has_database:
        return Corrections(tuple(one.rule for one in filed), {0: ()})
    return _following(now, keeping.proposed(place.database(), filed))


def _following(now: Corrections, rules: tuple[Rule, ...]) -> Corrections:
    return Corrections(rules, {**now.earlier, now.revision: now.rules}) if rules else NO_CORRECTIONS


def _finish(
    place: Wired,
    found: Preview,
    *,
    json: bool,
    applied: list[str] | None = None,
    revoked: list[str] | None = None,
) -> None:
    days = max(place.refresh().values(), default=0)
    _tell(
        place,
        found,
        json=json,
        done={"applied": applied or [], "revoked": revoked or [], "days_made_anew": days},
    )


def _tell(place: Wired, found: Preview, *, json: bool, done: dict[str, Any] | None = None) -> None:
    odd = [sentence for rule in found.rules for sentence in doubts(rule, place.registry)]
    if json:
        print(as_json(_as_json(found) | {"doubts": odd} | (done or {})))
        return
    print_rows(_rows(found), _columns(found), Shape.TABLE)
    if (more := len(found.lines) - MOST_LINES) > 0:
        _say(
            f"{more:,} more lines change less than these {MOST_LINES}; --json has them all, and `all` counts them, too"
        )
    for rule in found.rules:
        fitted = (
            "adds an estimate" if rule.add else f"fits {found.records.get(rule.content_hash, 0):,} records"
        )
        _say(f"{rule.id}: {fitted}, {rule.period}; {rule.reason}")
    for one in found.overlaps:
        _say(
            f"{one.first.id} and {one.second.id} fit the same {one.records:,} records: {one.effect}", "yellow"
        )
    for sentence in odd:
        _say(sentence, "yellow")
    if done is None:
        _say("nothing was written")
    else:
        told = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {what}" for what, names in (("in force", done["applied"]), ("revoked", done["revoked"])) if names]  # fmt: skip
        _say(
            f"{'; '.join(told) or 'all of it was in force already'}; {done['days_made_anew']:,} days of the summaries were made anew"
        )


def _say(sentence: str, style: str = "dim") -> None:
    complaints.print(sentence, style=style, highlight=False, markup=False, soft_wrap=True)


def _hours(amounts: Amounts) -> dict[str, float]:
    return {
        "jobs": amounts.jobs, "wall_hours": amounts.wall_seconds / 3600, "core_hours": amounts.core_seconds / 3600,
        "cpu_hours": amounts.cpu_us / 3_600_000_000,
    }  # fmt: skip


def _as_json(found: Preview) -> dict[str, Any]:
    def three(before: Amounts, after: Amounts) -> dict[str, Any]:
        return {"before": _hours(before), "after": _hours(after), "change": _hours(after - before)}

    return {
        "corrections": [
            {"id": rule.id, "act": rule.act, "period": _days(rule), "records": found.records.get(rule.content_hash, 0), "reason": rule.reason, "ticket": rule.ticket}
            for rule in found.rules
        ],
        "lines": [
            {"vo": line.vo, "site": line.site, "month": line.month, **({"project": line.project} if found.by_project else {}), "estimated": line.estimated}
            | three(line.before, line.after)
            for line in found.lines
        ],
        "total": three(found.before, found.after),
        "overlaps": [
            {"corrections": [one.first.id, one.second.id], "records": one.records, "effect": one.effect} for one in found.overlaps
        ],
    }  # fmt: skip


def _days(rule: Rule) -> dict[str, str]:
    return {"first": rule.period.first.isoformat(), "until": rule.period.until.isoformat()}


def _columns(found: Preview) -> list[str]:
    keys = ["month", "vo", "site", *(["project"] if found.by_project else [])]
    return [*keys, *(["estimated"] if any(line.estimated for line in found.lines) else []), *_SHOWN]


_SHOWN = (
    "jobs",
    "jobs_after",
    "wall_hours",
    "wall_hours_after",
    "core_hours",
    "core_hours_after",
    "core_hours_change",
)


def _largest(found: Preview) -> list[Line]:
    """The lines that a person is shown: all, or those that change most, in their order."""
    if len(found.lines) <= MOST_LINES:
        return list(found.lines)
    by_change = sorted(
        found.lines, key=lambda line: (-abs(line.change.core_seconds), -abs(line.change.wall_seconds))
    )
    chosen = set(by_change[:MOST_LINES])
    return [line for line in found.lines if line in chosen]


def _rows(found: Preview) -> list[dict[str, Any]]:
    rows = [
        {"month": line.month, "vo": line.vo, "site": line.site, "project": line.project, "estimated": "yes" if line.estimated else "no"}
        | _shown(line.before, line.after)
        for line in _largest(found)
    ]  # fmt: skip
    whole = {"month": "all", "vo": "", "site": "", "project": "", "estimated": ""} | _shown(
        found.before, found.after
    )
    return [*rows, whole]


def _shown(before: Amounts, after: Amounts) -> dict[str, Any]:
    then = {f"{name}_after": value for name, value in _hours(after).items()}
    return _hours(before) | then | {"core_hours_change": (after.core_seconds - before.core_seconds) / 3600}


def _listed(filed: Iterable[Filed], applied: Iterable[Applied], *, known: bool) -> list[dict[str, Any]]:
    """A row for each correction of the files, and for each that is or was in force."""
    in_files = {one.rule.id: one for one in filed}
    rows = []
    for one in applied:
        rule, of_file = one.filed.rule, in_files.get(one.filed.rule.id)
        if one.revoked_at is not None:
            state = "revoked"
        elif of_file is None:
            state = "in force, not in the files any more" if known else "in force"
        else:
            same = of_file.rule.content_hash == rule.content_hash
            state = "in force" if same else "in force as it was; its file says something else"
        rows.append(
            _row(rule, one.filed.file, state)
            | {key: value for key, value in asdict(one).items() if key in COLUMNS}
        )
    now = {row["id"] for row in rows if row["state"] != "revoked"}
    rows += [_row(one.rule, one.file, "not applied") for one in in_files.values() if one.rule.id not in now]
    return sorted(rows, key=lambda row: (row["state"] == "revoked", row["file"], row["id"]))


def _row(rule: Rule, file: str, state: str) -> dict[str, Any]:
    found = dict.fromkeys(COLUMNS) | {name: getattr(rule, name) for name in ("id", "act", "changes", "reason", "author", "ticket", "content_hash")}  # fmt: skip
    return found | {
        "state": state,
        "file": file,
        "first": rule.period.first,
        "until": rule.period.until,
        "period": rule.period,
    }
