"""What is known of each run: read, claimed and recorded; a run that several want is had by one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gridkeeper.database import reading, writing
from gridkeeper.errors import GridkeeperError
from gridkeeper.queries.periods import Period
from gridkeeper.schedules.tables import RUNS
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gridkeeper.schedules.due import Due

# A claim that was not renewed for so long (see renewing.py) is taken from who has it: its process died.
STALE_AFTER = timedelta(minutes=30)
# Clocks of several machines do not differ by more; what is due later than that was written by one that was wrong.
MOST_CLOCKS_DIFFER = timedelta(hours=1)
MOST_TOLD = 50

State = Literal["first-seen", "waiting", "running", "done", "given-up", "not-made", "waived"]
# Nothing more is asked of these.
CLOSED: tuple[State, ...] = ("first-seen", "done", "waived")
_READ = [column for column in RUNS.columns if column.name != "message"]
_THIS = (RUNS.c.schedule == sa.bindparam("of_schedule")) & (RUNS.c.due_at == sa.bindparam("of_due_at"))


def somebody() -> str:
    """A mark for claims that nobody else has."""
    return uuid4().hex


class ClaimLost(GridkeeperError):
    """Another scheduler has taken this run over, or it was handed back. Retryable."""

    permanent = False


@dataclass(frozen=True)
class Outcome:
    """What became of one recipient.

    state: waiting (to be tried), sending (handed over, no answer known yet), delivered, refused (for good), unclear
           (it broke off twice before the server had answered; not sent a third time).
    sent:  how often the message may have left.
    """

    state: Literal["waiting", "sending", "delivered", "refused", "unclear"] = "waiting"
    at: datetime | None = None
    said: str = ""
    sent: int = 0


@dataclass(frozen=True)
class Run:
    """One run as it is recorded; times in UTC."""

    schedule: str
    due_at: datetime
    period: Period
    state: State
    attempts: int
    next_at: datetime | None
    claimed_at: datetime | None
    begun_at: datetime | None
    made_at: datetime | None
    delivered_at: datetime | None
    files: tuple[str, ...]
    recipients: dict[str, Outcome]
    problem: str | None


def ready(engine: sa.Engine, names: Collection[str], moment: datetime) -> list[Run]:
    """The runs that may be claimed now: waiting for no more than the moment, or stale; oldest first."""
    return _select(engine, RUNS.c.schedule.in_(names) & _claimable(moment))


def owed(engine: sa.Engine, names: Collection[str]) -> list[Run]:
    """The runs of which something is still asked, oldest first."""
    return _select(engine, RUNS.c.schedule.in_(names) & RUNS.c.state.not_in(CLOSED))


def newest(engine: sa.Engine, names: Collection[str], moment: datetime) -> dict[str, Run]:
    """The newest run of each schedule that has one; what was due after `moment` (a clock that was wrong) is not looked at."""
    return _newest(engine, RUNS.c.schedule.in_(names) & (RUNS.c.due_at <= moment))


def last_delivered(engine: sa.Engine, names: Collection[str]) -> dict[str, Run]:
    """The newest run of each schedule that was delivered to all."""
    return _newest(engine, RUNS.c.schedule.in_(names) & (RUNS.c.state == "done"))


def history(engine: sa.Engine, names: Collection[str], most: int = MOST_TOLD) -> list[Run]:
    """The newest runs, newest first, at most so many."""
    with reading(engine) as connection:
        rows = connection.execute(
            sa.select(*_READ)
            .where(RUNS.c.schedule.in_(names))
            .order_by(RUNS.c.due_at.desc(), RUNS.c.schedule)
            .limit(most)
        )
        return [_run(row) for row in rows.mappings()]


def find(engine: sa.Engine, schedule: str, due_at: datetime) -> Run | None:
    """One run."""
    found = _select(engine, (RUNS.c.schedule == schedule) & (RUNS.c.due_at == due_at))
    return found[0] if found else None


def message(engine: sa.Engine, run: Run) -> bytes | None:
    """What is to be mailed, where that was made already."""
    with reading(engine) as connection:
        kept: bytes | None = connection.scalar(sa.select(RUNS.c.message).where(_THIS), _key(run))
    return kept


def write_down(engine: sa.Engine, new: Sequence[tuple[Due, State, str | None]], moment: datetime) -> None:
    """Write runs down, each with its state and what is to be said of it; those that are there already stay as they are."""
    if not new:
        return
    rows = [
        {
            "schedule": due.schedule.name,
            "due_at": due.at,
            "first": due.period.first.isoformat(),
            "until": due.period.until.isoformat(),
            "state": state,
            "next_at": moment if state == "waiting" else None,
            "files": "[]",
            "recipients": "{}",
            "problem": problem,
        }
        for due, state, problem in new
    ]
    insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    with writing(engine) as connection:
        connection.execute(insert(RUNS).on_conflict_do_nothing(), rows)


def forget_the_future(engine: sa.Engine, names: Collection[str], moment: datetime) -> None:
    """Forget runs that were written down by a clock far ahead, unless something was done for them: their time will come."""
    ahead = RUNS.c.due_at > moment + MOST_CLOCKS_DIFFER
    untouched = RUNS.c.state.in_(("first-seen", "waiting", "not-made")) & (RUNS.c.attempts == 0)
    with writing(engine) as connection:
        connection.execute(RUNS.delete().where(RUNS.c.schedule.in_(names) & ahead & untouched))


def claim(engine: sa.Engine, run: Run, who: str, moment: datetime) -> Run | None:
    """Claim a run for `who`; of several that try, one gets it, the others nothing."""
    values = {"state": "running", "claimed_by": who, "claimed_at": moment, "begun_at": moment}
    update = RUNS.update().where(_THIS & _claimable(moment))
    with writing(engine) as connection:
        done = connection.execute(
            update.values(attempts=RUNS.c.attempts + 1, next_at=None, **values), _key(run)
        )
    return find(engine, run.schedule, run.due_at) if done.rowcount == 1 else None


def record(engine: sa.Engine, run: Run, who: str, **values: Any) -> None:
    """Record something of a run that `who` has claimed. Raises: ClaimLost (retryable)."""
    if "recipients" in values:
        values["recipients"] = orjson.dumps(
            {name: asdict(outcome) for name, outcome in values["recipients"].items()}
        ).decode()
    if "files" in values:
        values["files"] = orjson.dumps(values["files"]).decode()
    mine = (RUNS.c.claimed_by == who) & (RUNS.c.state == "running")
    with writing(engine) as connection:
        done = connection.execute(RUNS.update().where(_THIS & mine).values(**values), _key(run))
    if done.rowcount != 1:
        raise ClaimLost(f"{run.schedule}, {run.period.name}: another scheduler has taken this run over")


def hand_back(engine: sa.Engine, who: str, moment: datetime) -> None:
    """Hand back what `who` has claimed, to be tried again at once: it stops before it was done."""
    mine = (RUNS.c.claimed_by == who) & (RUNS.c.state == "running")
    with writing(engine) as connection:
        connection.execute(
            RUNS.update()
            .where(mine)
            .values(state="waiting", next_at=moment, claimed_by=None, attempts=RUNS.c.attempts - 1)
        )


def reopen(engine: sa.Engine, run: Run, who: str, moment: datetime) -> bool:
    """Ask for a run again that is waiting, was given up, not made or waived, as if it had not been tried; it is audited.

    who: whose decision it is, in words.
    Returns: whether it was; not where it is being made, or was delivered.
    """
    recipients = {
        name: asdict(outcome if outcome.state == "delivered" else Outcome())
        for name, outcome in run.recipients.items()
    }
    values = {"state": "waiting", "next_at": moment, "attempts": 0, "problem": None}
    values["recipients"] = orjson.dumps(recipients).decode()
    return _decide(engine, run, values, "report.reopen", {}, who, moment)


def waive(engine: sa.Engine, run: Run, because: str, who: str, moment: datetime) -> bool:
    """Ask nothing more of a run, and say why; it is audited.

    who: whose decision it is, in words.
    Returns: whether it was; not where it is being made, or was delivered.
    """
    values = {"state": "waived", "next_at": None, "message": None, "problem": because}
    return _decide(engine, run, values, "report.waive", {"because": because}, who, moment)


def _decide(
    engine: sa.Engine,
    run: Run,
    values: dict[str, Any],
    act: str,
    details: dict[str, str],
    who: str,
    moment: datetime,
) -> bool:
    update = RUNS.update().where(_THIS & RUNS.c.state.not_in(("running", "done"))).values(**values)
    with writing(engine) as connection:
        if connection.execute(update, _key(run)).rowcount != 1:
            return False
        subject = f"report {run.schedule} of {run.period.name}"
        audit.record(connection, who, act, subject, {"due_at": run.due_at, **details}, at=moment)
    return True


def _claimable(moment: datetime) -> sa.ColumnElement[bool]:
    waiting = (RUNS.c.state == "waiting") & (RUNS.c.next_at <= moment)
    return waiting | ((RUNS.c.state == "running") & (RUNS.c.claimed_at <= moment - STALE_AFTER))


def _key(run: Run) -> dict[str, Any]:
    return {"of_schedule": run.schedule, "of_due_at": run.due_at}


def _newest(engine: sa.Engine, those: sa.ColumnElement[bool]) -> dict[str, Run]:
    last = (
        sa.select(RUNS.c.schedule, sa.func.max(RUNS.c.due_at).label("due_at"))
        .where(those)
        .group_by(RUNS.c.schedule)
        .subquery()
    )
    found = _select(
        engine, sa.tuple_(RUNS.c.schedule, RUNS.c.due_at).in_(sa.select(last.c.schedule, last.c.due_at))
    )
    return {run.schedule: run for run in found}


def _select(engine: sa.Engine, those: sa.ColumnElement[bool]) -> list[Run]:
    with reading(engine) as connection:
        rows = connection.execute(
            sa.select(*_READ).where(those).order_by(RUNS.c.due_at, RUNS.c.schedule)
        ).mappings()
        return [_run(row) for row in rows]


def _run(row: sa.RowMapping) -> Run:
    known = {name: row[name] for name in Run.__dataclass_fields__ if name in row}
    known |= {
        "period": Period(date.fromisoformat(row["first"]), date.fromisoformat(row["until"])),
        "files": tuple(orjson.loads(row["files"])),
        "recipients": {
            name: Outcome(**(kept | {"at": datetime.fromisoformat(kept["at"]) if kept["at"] else None}))
            for name, kept in orjson.loads(row["recipients"]).items()
        },
    }
    return Run(**known)
