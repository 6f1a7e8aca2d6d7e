"""What the tests of reports on time share: books with two months of jobs, a mail server, a clock, a press."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.config import Home
from gridkeeper.federation.model import read_registry
from gridkeeper.reports.contract import Request
from gridkeeper.schedules import runs
from gridkeeper.schedules.badge import Badge, badge_of
from gridkeeper.schedules.running import Press, make_due
from gridkeeper.settings import Mail, Schedule, Settings
from gridkeeper.summaries.books import Books
from tests.databases import database, sqlite_database
from tests.homes import InventedHome, at, every_day
from tests.schedules.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from gridkeeper.queries.periods import Period
    from gridkeeper.schedules.runs import Run

__all__ = ["database", "sqlite_database"]

FEDERATION = """\
federation: {name: Sample Grid, week_start: tuesday}
vos: [{name: cms}, {name: atlas}]
resources: [{name: alpha, site: Alpha, facility: University of Alpha}]
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: atlas}, vo: atlas}
"""
ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"


@dataclass
class Clock:
    """Says what a test has set."""

    moment: datetime = field(default_factory=lambda: at("2017-02-06T12:00"))

    def __call__(self) -> datetime:
        return self.moment

    def wait(self, **spans: float) -> None:
        self.moment += timedelta(**spans)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    """Books of two VOs from December 2016 to March 2017."""
    home = InventedHome(tmp_path_factory.mktemp("sample") / "home", FEDERATION)
    days = ("2016-12-01", "2017-03-10")
    jobs = [
        *every_day(*days, number=1, hours=10, cores=8),
        *every_day(*days, number=1000, hours=4, cores=2, account="atlas"),
    ]
    home.slurm("alpha", jobs, received=at("2017-03-11T01:00"))
    home.books()
    return home


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def weekly(**changes: Any) -> Schedule:
    """The weekly report of the production meeting, as cheap as it can be."""
    entry: dict[str, Any] = {"name": "production", "report": "trends", "period": "week", "day": 2}
    return Schedule.model_validate(entry | {"recipients": (ALICE, BOB)} | changes)


@dataclass
class House:
    """A home with its schedules, seen by a scheduler that a test drives by hand."""

    press: Press
    clock: Clock

    def with_schedules(self, *schedules: Schedule) -> House:
        settings = self.press.settings.model_copy(update={"schedule": schedules})
        return House(replace(self.press, settings=settings), self.clock)

    def with_mail(self, **changes: Any) -> House:
        mail = Mail.model_validate(self.press.settings.mail.model_dump() | changes)
        return House(
            replace(self.press, settings=self.press.settings.model_copy(update={"mail": mail})), self.clock
        )

    def look(self, at_moment: str | None = None) -> list[Run]:
        """A scheduler looks, now or at another moment."""
        if at_moment is not None:
            self.clock.moment = at(at_moment)
        return make_due(self.press, self.clock)

    def run(self, due_at: str, schedule: str = "production") -> Run:
        found = runs.find(self.press.engine, schedule, at(due_at))
        assert found is not None
        return found

    def badge(self, at_moment: str | None = None) -> Badge:
        """The badge, now or at another moment; nobody looks."""
        moment = at(at_moment) if at_moment else self.clock.moment
        return badge_of(self.press.engine, self.press.settings, self.press.week_start, moment)


def plainly(_books: Books, _report: str, period: Period, moment: datetime) -> Request:
    """A report is asked for its period and no more."""
    return Request(period, moment)


def house_of(
    engine: sa.Engine, sample: InventedHome, folder: Path, clock: Clock, mail_server: MailServer
) -> House:
    """A house with the weekly report; its reports lie in `folder`."""
    registry = read_registry(sample.home.federation)
    home = Home(folder / "home")
    home.create()
    mail = Mail(host="127.0.0.1", port=mail_server.port, sender="gridkeeper@example.org")
    settings = Settings(mail=mail, schedule=(weekly(),))
    press = Press(engine, settings, home, lambda: registry, lambda: Books(sample.lake, registry), plainly)
    return House(press, clock)


@pytest.fixture
def house(
    database: sa.Engine, sample: InventedHome, tmp_path: Path, clock: Clock, mail_server: MailServer
) -> House:
    """On SQLite and on PostgreSQL: first looked at on Monday noon; due on Tuesdays at 06:00, weeks begin on Tuesday."""
    made = house_of(database, sample, tmp_path, clock, mail_server)
    assert made.look("2017-02-06T12:00") == []
    return made
