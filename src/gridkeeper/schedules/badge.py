"""Whether all reports are current: asked of the database and the schedules, so that it is true while no scheduler runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from gridkeeper.exports.apel_standing import standing as apel_standing
from gridkeeper.queries.periods import parse_month
from gridkeeper.schedules import runs
from gridkeeper.schedules.due import due_since, late_at, next_due
from gridkeeper.schedules.runs import Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.queries.periods import Period
    from gridkeeper.settings import Schedule, Settings

MOST_NAMED = 3
APEL = "apel"  # as a schedule is called; see exports/apel_standing.py

State = Literal["current", "due", "late", "none"]


@dataclass(frozen=True)
class Owed:
    """A report that is due and that not everybody has.

    late:    whether it counts as late: its grace is over, or nothing more is tried.
    why:     for everybody: no address, no path, no server is named.
    problem: the same in full, for operators; nothing where nothing was tried.
    """

    schedule: str
    report: str
    period: Period
    due_at: datetime
    late_at: datetime
    late: bool
    why: str
    problem: str | None


@dataclass(frozen=True)
class Standing:
    """How a schedule stands: what was delivered last, and when the next one is due."""

    schedule: str
    report: str
    last: Run | None
    next_due_at: datetime


@dataclass(frozen=True)
class Badge:
    """The answer: current, due (being made, not late yet), late, or none where nothing is scheduled; and why."""

    state: State
    message: str
    sentence: str
    at: datetime
    owed: tuple[Owed, ...]
    standings: tuple[Standing, ...]


def badge_of(engine: sa.Engine, settings: Settings, week_start: str, moment: datetime) -> Badge:
    """Say how the reports stand at `moment`.

    Reads:  `report_runs`; what came due since the newest run of a schedule is owed, too, whether or not anybody looked;
            `apel_sendings`, where months are to be sent.
    Raises: DatabaseUnavailable (retryable).
    """
    schedules = {schedule.name: schedule for schedule in settings.schedule}
    known = runs.newest(engine, schedules, moment)
    delivered = runs.last_delivered(engine, schedules)
    owed = [
        one
        for run in runs.owed(engine, schedules)
        if run.due_at <= moment and (one := _owed(schedules[run.schedule], run, moment)) is not None
    ]
    for schedule in schedules.values():
        if schedule.name in known:
            owed += _unseen(schedule, known[schedule.name], week_start, moment)
    standings = [
        Standing(schedule.name, schedule.report, delivered.get(schedule.name), next_due(schedule, moment))
        for schedule in schedules.values()
    ]
    _add_apel(engine, settings, moment, owed, standings)
    owed.sort(key=lambda one: (not one.late, one.due_at, one.schedule))
    return _badge(tuple(owed), tuple(standings), moment)


def _add_apel(
    engine: sa.Engine, settings: Settings, moment: datetime, owed: list[Owed], standings: list[Standing]
) -> None:
    """The monthly feed for APEL beside the schedules; nothing where it goes nowhere."""
    found = apel_standing(engine, settings.apel, moment)
    if found is None:
        return
    owed += [
        Owed(APEL, APEL, one.month, one.due_at, one.late_at, moment >= one.late_at, one.why, None)
        for one in found.owed
    ]
    last = None
    if found.last is not None:
        sent = found.last
        last = Run(
            APEL, sent.begun_at, parse_month(sent.month), "done", 1, None, None, sent.begun_at, sent.begun_at, sent.sent_at, (), {}, None
        )  # fmt: skip
    standings.append(Standing(APEL, APEL, last, found.next_due_at))


def as_json(badge: Badge, *, private: bool = False) -> bytes:
    """The badge for programs. private: with the problems in full, which may name addresses and paths."""

    def said(one: Owed) -> dict[str, Any]:
        told = {
            "schedule": one.schedule,
            "report": one.report,
            "period": _period(one.period),
            "due_at": one.due_at,
            "late_at": one.late_at,
            "late": one.late,
            "why": one.why,
        }
        return told | ({"problem": one.problem} if private else {})

    return orjson.dumps(
        {
            "state": badge.state,
            "message": badge.message,
            "sentence": badge.sentence,
            "at": badge.at,
            "owed": [said(one) for one in badge.owed],
            "schedules": [
                {
                    "schedule": standing.schedule,
                    "report": standing.report,
                    "last_delivered": standing.last
                    and {
                        "period": _period(standing.last.period),
                        "due_at": standing.last.due_at,
                        "delivered_at": standing.last.delivered_at,
                    },
                    "next_due_at": standing.next_due_at,
                }
                for standing in badge.standings
            ],
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z,
    )


def _period(period: Period) -> dict[str, Any]:
    return {"name": period.name, "first": period.first, "until": period.until}


def _owed(schedule: Schedule, run: Run, moment: datetime) -> Owed | None:
    without = [
        name
        for name in schedule.recipients
        if name not in run.recipients or run.recipients[name].state != "delivered"
    ]
    if run.state == "given-up" and run.made_at is not None and not without:
        return None  # who could not have it is no recipient any more
    late = run.state in ("given-up", "not-made") or moment >= late_at(schedule, run.due_at)
    why = _why(schedule, run, len(without))
    return Owed(
        schedule.name, schedule.report, run.period, run.due_at, late_at(schedule, run.due_at), late, why, run.problem
    )  # fmt: skip


def _unseen(schedule: Schedule, newest: Run, week_start: str, moment: datetime) -> list[Owed]:
    """What came due while no scheduler looked."""
    return [
        Owed(schedule.name, schedule.report, due.period, due.at, late, moment >= late, "nothing has tried to make it", None)
        for due in due_since(schedule, newest.due_at, moment, week_start)
        for late in (late_at(schedule, due.at),)
    ]  # fmt: skip


def _why(schedule: Schedule, run: Run, without: int) -> str:
    tries = f"tried {run.attempts} time{'' if run.attempts == 1 else 's'}"
    if run.state == "not-made":
        return "not made, because too many were missed at once"
    if run.state == "running":
        return f"being made since {run.begun_at:%Y-%m-%d %H:%M} UTC"
    if not run.attempts:
        return "nothing has tried to make it"
    if run.made_at is None:
        return f"it could not be made ({tries}{', given up' if run.state == 'given-up' else ''})"
    of = len(schedule.recipients)
    missing = f"{without} of {of} recipients {'does' if without == 1 else 'do'} not have it"
    return f"made, but {missing} ({tries}{', given up' if run.state == 'given-up' else ''})"


def _badge(owed: tuple[Owed, ...], standings: tuple[Standing, ...], moment: datetime) -> Badge:
    late = [one for one in owed if one.late]
    state: State
    if not standings:
        state, message, sentence = "none", "none scheduled", "No report is scheduled."
    elif late:
        state, message = "late", _briefly(late, moment)
        sentence = f"Late: {_listed(late)}."
    elif owed:
        state, message = "due", "due now"
        until = min(one.late_at for one in owed)
        sentence = f"Due: {_listed(owed)}; late from {until:%Y-%m-%d %H:%M} UTC on."
    else:
        following = min(standings, key=lambda standing: (standing.next_due_at, standing.schedule))
        state, message = "current", "current"
        sentence = f"All reports are current; the next one, {following.schedule}, is due {following.next_due_at:%Y-%m-%d %H:%M} UTC."
    return Badge(state, message, sentence, moment, owed, standings)


def _briefly(late: Sequence[Owed], moment: datetime) -> str:
    since = min(one.due_at for one in late)
    day = f"{since.day} {since:%b}" + (f" {since:%Y}" if since.year != moment.year else "")
    names = {one.schedule for one in late}
    who = names.pop() if len(names) == 1 else f"{len(names)} reports"
    return f"{who} late since {day}"


def _listed(owed: Sequence[Owed]) -> str:
    named = "; ".join(
        f"{one.schedule} of {one.period.name}, due {one.due_at:%Y-%m-%d %H:%M} UTC, {one.why}"
        for one in owed[:MOST_NAMED]
    )
    more = len(owed) - MOST_NAMED
    return named + (f"; and {more} more" if more > 0 else "")
