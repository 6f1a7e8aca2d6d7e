"""Makes what is due, each run once though several schedulers look, delivers it, and records how far it came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.errors import GridkeeperError
from gridkeeper.schedules import printing, runs
from gridkeeper.schedules.due import Due, due_since, last_due, period_at
from gridkeeper.schedules.message import compose
from gridkeeper.schedules.post import MailUnavailable, post
from gridkeeper.schedules.renewing import renewed
from gridkeeper.schedules.runs import ClaimLost, Outcome, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.config import Home
    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.periods import Period
    from gridkeeper.reports.contract import Request
    from gridkeeper.settings import Mail, Schedule, Settings
    from gridkeeper.summaries.books import Books

# So many missed runs of a schedule are made up after an outage; those before them are recorded as not made.
MOST_MADE_UP = 12
# A try that failed is repeated after a minute, two, four ... at most four hours; the last one about three days after the first.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=4)
MOST_ATTEMPTS = 24
# A message that broke off before the server had answered is sent once more, under the same Message-ID, and not again.
MOST_TIMES_SENT = 2


@dataclass(frozen=True)
class Press:
    """What reports are made with.

    registry: gives the federation as its file says at that moment.
    books:    opens the books as they are at that moment.
    ask:      what a report of this name is asked for, of these books, a period, as of a moment.
    """

    engine: sa.Engine
    settings: Settings
    home: Home
    registry: Callable[[], Registry]
    books: Callable[[], Books]
    ask: Callable[[Books, str, Period, datetime], Request]

    @property
    def week_start(self) -> str:
        """The weekday on which the federation's weeks begin."""
        return self.registry().federation.week_start

    def schedules(self, name: str | None = None) -> dict[str, Schedule]:
        """All schedules by name, or the one that is called so."""
        return {entry.name: entry for entry in self.settings.schedule if name in (None, entry.name)}

    def mail(self) -> Mail:
        """How mail leaves the house; a file that is named without a folder's full path is one of the home."""
        mail = self.settings.mail
        files = {"ca_file": mail.ca_file, "password_file": mail.password_file}
        return mail.model_copy(
            update={name: self.home.path / file for name, file in files.items() if file is not None}
        )


class Stopped(GridkeeperError):
    """The work was asked to stop between two steps; the run was handed back. Retryable."""

    permanent = False


class NeverEnds(GridkeeperError):
    """A run was begun as often as it may be, and broke off each time without a word. Permanent."""


def look(press: Press, moment: datetime, name: str | None = None) -> None:
    """Write down what has come due, so that nothing is skipped silently.

    A schedule that is seen for the first time owes what comes due from now on. Of what came due since the last look,
    the newest MOST_MADE_UP wait to be made, the others are recorded as not made.
    Raises: DatabaseUnavailable (retryable).
    """
    schedules = press.schedules(name)
    runs.forget_the_future(press.engine, schedules, moment)
    known = runs.newest(press.engine, schedules, moment)
    new: list[tuple[Due, runs.State, str | None]] = []
    for schedule in schedules.values():
        if schedule.name not in known:
            at = last_due(schedule, moment)
            seen = "first seen after this was due; owed from the next one on"
            new.append((Due(schedule, at, period_at(schedule, at, press.week_start)), "first-seen", seen))
            continue
        missed = due_since(schedule, known[schedule.name].due_at, moment, press.week_start)
        for place, due in enumerate(reversed(missed)):
            too_many = f"{len(missed)} runs were missed at once; no more than the newest {MOST_MADE_UP} are made up by themselves"
            new.append((due, "waiting", None) if place < MOST_MADE_UP else (due, "not-made", too_many))
    runs.write_down(press.engine, new, moment)


def make_due(
    press: Press,
    clock: Callable[[], datetime],
    *,
    name: str | None = None,
    who: str | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> list[Run]:
    """Make and deliver everything that is due now, oldest first.

    name:     only this schedule.
    who:      what claims are marked with, no two workers the same.
    stopping: asked between steps; when it says so, what was begun is handed back.
    Returns: the runs that were worked on, as they are then; those that failed say so and wait for their next try.
    Raises:  DatabaseUnavailable (retryable).
    """
    look(press, clock(), name)
    worked_on = []
    for run in runs.ready(press.engine, press.schedules(name), clock()):
        if stopping():
            break
        done = make_one(press, run, clock, who or runs.somebody(), stopping)
        if done is not None:
            worked_on.append(done)
    return worked_on


def make_one(
    press: Press,
    run: Run,
    clock: Callable[[], datetime],
    who: str,
    stopping: Callable[[], bool] = lambda: False,
) -> Run | None:
    """Make and deliver one run. Returns: the run as it is then; nothing where another one has it, or it was stopped.

    Raises: DatabaseUnavailable (retryable); the claim is then stale after a while.
    """
    claimed = runs.claim(press.engine, run, who, clock())
    if claimed is None:
        return None
    work = _Work(press, press.schedules()[run.schedule], claimed, clock, who, stopping)
    try:
        try:
            work.must_not_repeat_for_ever()
            with renewed(press.engine, claimed, who, clock):
                work.make()
                work.deliver()
            work.conclude()
        except (ClaimLost, Stopped, DatabaseUnavailable):
            raise
        except GridkeeperError as error:
            work.put_off(str(error))
        except Exception as error:  # noqa: BLE001 - a fault in one report must not silence the others; it is recorded
            work.put_off(f"{type(error).__name__}: {error}; this is a fault in Gridkeeper, please report it")
    except ClaimLost:
        return None
    except Stopped:
        runs.hand_back(press.engine, who, clock())
        return None
    return runs.find(press.engine, run.schedule, run.due_at)


class _Work:
    """One attempt at one run."""

    def __init__(
        self,
        press: Press,
        schedule: Schedule,
        run: Run,
        clock: Callable[[], datetime],
        who: str,
        stopping: Callable[[], bool],
    ) -> None:
        self._press, self._schedule, self._run = press, schedule, run
        self._clock, self._who, self._stopping = clock, who, stopping
        self._recipients = dict(run.recipients)

    def must_not_repeat_for_ever(self) -> None:
        """Stop a run that never comes to an end. Raises: NeverEnds (permanent)."""
        if self._run.attempts > MOST_ATTEMPTS:
            raise NeverEnds(
                f"it was begun {MOST_ATTEMPTS} times and never came to an end; "
                "was the scheduler killed, or out of memory? Its log and that of its machine may tell"
            )

    def make(self) -> None:
        """Write the files and compose the mail, unless an earlier attempt has."""
        run, schedule = self._run, self._schedule
        mailed = not self._unserved() or runs.message(self._press.engine, run) is not None
        if run.made_at is not None and mailed:
            return
        moment = self._clock()
        books = self._press.books()
        content = printing.make(books, schedule, self._press.ask(books, schedule.report, run.period, moment))
        self._go_on()
        files = printing.render(content, schedule, run.due_at)
        folder = printing.folder_of(self._press.home, schedule)
        message = None
        if schedule.recipients:
            printed = printing.printed(content, schedule, run.due_at, files, folder)
            sender = self._press.settings.mail.sender
            message = compose(printed, run.schedule, run.due_at, sender, schedule.recipients, moment)
        self._go_on()
        paths = printing.write(folder, files)
        self._record(made_at=self._clock(), files=paths, message=message)

    def deliver(self) -> None:
        """Mail it to those who do not have it yet; what was begun is recorded before, what came of it after."""
        unserved = self._unserved()
        broken_off = [name for name in unserved if self._outcome(name).sent >= MOST_TIMES_SENT]
        for name in broken_off:
            self._recipients[name] = replace(self._outcome(name), state="unclear", at=self._clock())
        to_send = [name for name in unserved if name not in broken_off]
        message = runs.message(self._press.engine, self._run) if to_send else None
        if message is None:
            self._record(recipients=self._recipients)
            return
        for name in to_send:
            before = self._outcome(name)
            self._recipients[name] = replace(before, state="sending", sent=before.sent + 1)
        self._go_on(recipients=self._recipients)
        try:
            answers = post(self._press.mail(), message, to_send)
        except MailUnavailable as error:
            self._take_back(to_send, str(error))
            raise
        for name, (answer, said) in answers.items():
            self._recipients[name] = self._after(name, answer, said)
        self._record(recipients=self._recipients)

    def conclude(self) -> None:
        """Say whether it is delivered, is to be tried again, or ends with somebody who cannot have it."""
        outcomes = {name: self._outcome(name) for name in self._schedule.recipients}
        left = {name: one for name, one in outcomes.items() if one.state != "delivered"}
        if not left:
            moment = self._clock()
            self._record(state="done", delivered_at=moment, claimed_by=None, message=None, problem=None)
        elif any(one.state in ("waiting", "sending") for one in left.values()):
            self.put_off(_told(left))
        else:
            self._record(state="given-up", claimed_by=None, problem=_told(left))

    def put_off(self, problem: str) -> None:
        """Record what went wrong, and when it is tried again; after MOST_ATTEMPTS not by itself."""
        if self._run.attempts >= MOST_ATTEMPTS:
            self._record(state="given-up", claimed_by=None, problem=problem)
            return
        wait = min(FIRST_WAIT * 2 ** (self._run.attempts - 1), LONGEST_WAIT)
        self._record(state="waiting", next_at=self._clock() + wait, claimed_by=None, problem=problem)

    def _unserved(self) -> list[str]:
        return [
            name for name in self._schedule.recipients if self._outcome(name).state in ("waiting", "sending")
        ]

    def _outcome(self, name: str) -> Outcome:
        return self._recipients.get(name, Outcome())

    def _after(self, name: str, answer: str, said: str) -> Outcome:
        before = self._outcome(name)
        match answer:
            case "delivered":
                return replace(before, state="delivered", at=self._clock(), said=said)
            case "refused":
                return replace(before, state="refused", at=self._clock(), said=said)
            case "unclear":
                return replace(before, said=said)
            case _:
                return replace(before, state="waiting", said=said, sent=before.sent - 1)

    def _take_back(self, names: Sequence[str], said: str) -> None:
        """Nothing left the house after all."""
        for name in names:
            self._recipients[name] = self._after(name, "later", said)
        self._record(recipients=self._recipients)

    def _go_on(self, **values: object) -> None:
        """Go on to the next step, with a fresh claim. Raises: ClaimLost, Stopped (retryable)."""
        if self._stopping():
            raise Stopped(f"{self._run.schedule} was stopped before it was done")
        self._record(**values)

    def _record(self, **values: object) -> None:
        runs.record(self._press.engine, self._run, self._who, claimed_at=self._clock(), **values)


def _told(left: dict[str, Outcome]) -> str:
    """What went wrong with whom, in words."""
    words = {
        "refused": "was refused",
        "unclear": "may have it or not: the connection broke twice before the mail server had answered",
        "sending": "may have it or not, and is tried once more",
        "waiting": "does not have it yet",
    }
    return "; ".join(
        f"{name} {words[one.state]}{f' ({one.said})' if one.said else ''}" for name, one in left.items()
    )
