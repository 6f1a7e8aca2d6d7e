"""`gridkeeper schedule`: which reports are made in time, making those that are due, and whether all are current."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridkeeper.cli.output import Shape, complaints, console, print_rows
from gridkeeper.cli.output import as_json as as_json_text_of
from gridkeeper.cli.report import request_of
from gridkeeper.cli.wiring import HomeOption, Wired, wired
from gridkeeper.clock import now
from gridkeeper.errors import UserMistake
from gridkeeper.schedules import changes, printing, runs
from gridkeeper.schedules.badge import as_json, badge_of
from gridkeeper.schedules.due import Due, last_due, next_due, period_at
from gridkeeper.schedules.running import Press, look, make_due, make_one
from gridkeeper.summaries.books import Books
from gridkeeper.trust.audit import local_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.periods import Period
    from gridkeeper.reports.contract import Request
    from gridkeeper.schedules.runs import Run
    from gridkeeper.settings import Schedule

app = typer.Typer(help="Reports on time: what is due, what was made, what is late.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
NameOption = Annotated[str | None, typer.Option(help="Only this schedule.", show_default=False)]
DueOption = Annotated[
    str | None,
    typer.Option(
        "--due-at", help="The run that was due then, as 2017-02-07; needs --name.", show_default=False
    ),
]
_COLUMNS = ("name", "report", "period", "formats", "recipients", "next_due_at", "last_run", "state")


def press_of(place: Wired, registry: Callable[[], Registry] | None = None) -> Press:
    """What reports are made with. registry: gives the federation as its file says now; else as it was when the home was opened.

    Raises: BadConfiguration (permanent), DatabaseUnavailable (retryable).
    """
    printing.check(place.settings)
    current = registry or (lambda: place.registry)

    def ask(books: Books, report: str, period: Period, moment: datetime) -> Request:
        when = (None, None, period.first.isoformat(), period.until.isoformat())
        return request_of(place, books, report, when, moment, None)

    return Press(
        engine=place.database(),
        settings=place.settings,
        home=place.home,
        registry=current,
        books=lambda: Books(place.lake, current(), corrections=place.corrections()),
        ask=ask,
    )


@app.command("list")
def list_(as_json_text: JsonOption = False, home: HomeOption = None) -> None:
    """List the schedules, with the next due time and the newest run of each.

    Example: gridkeeper schedule list
    """
    press, moment = press_of(wired(home)), now()
    look(press, moment)
    known = runs.newest(press.engine, press.schedules(), moment)
    rows: list[dict[str, Any]] = []
    for schedule in press.schedules().values():
        newest = known.get(schedule.name)
        due = next_due(schedule, moment)
        rows.append(
            {
                "name": schedule.name,
                "report": schedule.report,
                "period": schedule.period,
                "formats": " ".join(schedule.formats),
                "recipients": len(schedule.recipients),
                "next_due_at": due if as_json_text else _minute(due),
                "last_run": newest and newest.period.name,
                "state": newest and newest.state,
            }
        )
    if rows or as_json_text:
        print_rows(rows, _COLUMNS, Shape.JSON if as_json_text else Shape.TABLE)
    else:
        complaints.print("no report is scheduled; write [[schedule]] in gridkeeper.toml", markup=False)


@app.command("runs")
def runs_(name: NameOption = None, as_json_text: JsonOption = False, home: HomeOption = None) -> None:
    """List the newest runs, newest first: when each was due, made and delivered, to whom, and what went wrong.

    Example: gridkeeper schedule runs --name production
    """
    press = press_of(wired(home))
    if name is not None:
        _schedule(press, name)
    found = runs.history(press.engine, press.schedules(name))
    if as_json_text:
        print(as_json_text_of([_in_full(one) for one in found]))
    elif found:
        print_rows(
            [_in_brief(one) for one in found], list(_in_brief(found[0])), Shape.TABLE, free=("problem",)
        )
    else:
        complaints.print("there is no run yet", markup=False)


@app.command()
def run(name: NameOption = None, due_at: DueOption = None, home: HomeOption = None) -> None:
    """Make and deliver what is due now; once each, whatever else runs. With --due-at one run again that failed or was missed.

    For cron, where no `gridkeeper serve` runs. Exit code 1 when something could not be made or delivered.

    Examples:

    gridkeeper schedule run

    gridkeeper schedule run --name production --due-at 2017-02-07
    """
    press = press_of(wired(home))
    changes.note(press.engine, press.schedules(), now())
    if due_at is not None:
        done = [_run_again(press, _schedule(press, name), due_at)]
    else:
        if name is not None:
            _schedule(press, name)
        done = make_due(press, now, name=name)
    for one in done:
        _tell(one)
    if not done:
        console.print("nothing is due now", highlight=False)
    if any(one.state != "done" for one in done):
        raise typer.Exit(1)


@app.command()
def status(as_json_text: JsonOption = False, home: HomeOption = None) -> None:
    """Say whether all reports are current, and which are late and why. Exit code 1 when one is late.

    Example: gridkeeper schedule status
    """
    press, moment = press_of(wired(home)), now()
    look(press, moment)
    badge = badge_of(press.engine, press.settings, press.week_start, moment)
    if as_json_text:
        print(as_json(badge, private=True).decode(), end="")
    else:
        console.print(badge.sentence, highlight=False, markup=False, soft_wrap=True)
        for one in badge.owed:
            if one.problem:
                said = f"  {one.schedule} of {one.period.name}: {one.problem}"
                console.print(said, highlight=False, markup=False, soft_wrap=True)
    if badge.state == "late":
        raise typer.Exit(1)


@app.command()
def waive(
    name: Annotated[str, typer.Option(help="The schedule.", show_default=False)],
    due_at: Annotated[str, typer.Option(help="When the run was due, as 2017-02-07.", show_default=False)],
    because: Annotated[str, typer.Option(help="Why nobody needs it; kept with the run.", show_default=False)],
    home: HomeOption = None,
) -> None:
    """Ask nothing more of a run that is late, and say why: the badge no longer counts it.

    Example: gridkeeper schedule waive --name production --due-at 2017-02-07 --because "no meeting that week"
    """
    press = press_of(wired(home))
    found = _find(press, _schedule(press, name), due_at)
    if not runs.waive(press.engine, found, because, local_user(), now()):
        raise UserMistake(f"{name} of {found.period.name} was delivered already, or is being made now")
    console.print(f"{name} of {found.period.name} is waived: {because}", highlight=False, markup=False)


def _run_again(press: Press, schedule: Schedule, text: str) -> Run:
    found = _find(press, schedule, text)
    if not runs.reopen(press.engine, found, local_user(), now()):
        raise UserMistake(
            f"{schedule.name} of {found.period.name} was delivered already, or is being made now"
        )
    done = make_one(press, found, now, runs.somebody())
    if done is None:
        raise UserMistake(f"{schedule.name} of {found.period.name} is being made by another scheduler")
    return done


def _find(press: Press, schedule: Schedule, text: str) -> Run:
    """The run that was due then; written down where it is older than what is known."""
    moment = now()
    look(press, moment, schedule.name)
    asked = _moment(text)
    at = last_due(schedule, asked)
    on_that_day = len(text) == len("2017-02-07")
    if (at.date() != asked.date() if on_that_day else at != asked) or at > moment:
        raise UserMistake(
            f"{schedule.name} was not due at {text}; it was due at {min(at, last_due(schedule, moment)):%Y-%m-%dT%H:%M} UTC"
        )
    known = runs.find(press.engine, schedule.name, at)
    if known is None:
        due = Due(schedule, at, period_at(schedule, at, press.week_start))
        runs.write_down(press.engine, [(due, "not-made", "never asked for")], moment)
        known = runs.find(press.engine, schedule.name, at)
    if known is None:
        raise UserMistake(f"{schedule.name} has no run of {text}")
    return known


def _moment(text: str) -> datetime:
    """A moment in UTC; of a day its end, so that whatever was due on it is found."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is no day; write it as 2017-02-07 or 2017-02-07T06:00") from None
    if len(text) == len("2017-02-07"):
        moment = datetime.combine(moment.date(), time.max)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _schedule(press: Press, name: str | None) -> Schedule:
    schedules = press.schedules()
    if name not in schedules:
        known = ", ".join(schedules) or "none is written in gridkeeper.toml"
        raise UserMistake(f"there is no schedule {name!r}; name one with --name: {known}")
    return schedules[name]


def _in_brief(one: Run) -> dict[str, Any]:
    got = sum(outcome.state == "delivered" for outcome in one.recipients.values())
    return {
        "schedule": one.schedule,
        "period": one.period.name,
        "due": _minute(one.due_at),
        "state": one.state,
        "tries": one.attempts,
        "delivered": _minute(one.delivered_at),
        "have it": f"{got} of {len(one.recipients)}" if one.recipients else None,
        "problem": one.problem,
    }


def _in_full(one: Run) -> dict[str, Any]:
    period = {"name": one.period.name, "first": one.period.first, "until": one.period.until}
    return asdict(one) | {"period": period}


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _tell(one: Run) -> None:
    if one.state == "done":
        mailed = f", mailed to {len(one.recipients)}" if one.recipients else ""
        console.print(
            f"{one.schedule} of {one.period.name}: {', '.join(one.files)}{mailed}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        return
    again = f"; tried again from {one.next_at:%Y-%m-%d %H:%M} UTC on" if one.next_at else ""
    complaints.print(
        f"{one.schedule} of {one.period.name}: {one.problem}{again}",
        style="red",
        markup=False,
        soft_wrap=True,
    )
