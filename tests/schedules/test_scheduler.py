"""The scheduler of a server: it looks by itself, does the daily upkeep, and stops in seconds whatever it is at."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gridkeeper.clock import now
from gridkeeper.database import open_database
from gridkeeper.errors import BadConfiguration, LakeUnavailable
from gridkeeper.schedules import runs
from gridkeeper.schedules.scheduler import Scheduler
from tests.homes import at
from tests.schedules.conftest import Clock, House, house_of, weekly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import sqlalchemy as sa

    from gridkeeper.summaries.books import Books
    from tests.homes import InventedHome
    from tests.schedules.mail_server import MailServer

DUE = "2017-02-07T06:00"


@pytest.fixture
def house(
    sqlite_database: sa.Engine, sample: InventedHome, tmp_path: Path, clock: Clock, mail_server: MailServer
) -> House:
    made = house_of(sqlite_database, sample, tmp_path, clock, mail_server)
    made.look("2017-02-06T12:00")
    clock.moment = at(DUE)
    return made


def standing(house: House) -> tuple[str, int] | None:
    """State and attempts of the run, where it is written down already."""
    found = runs.find(house.press.engine, "production", at(DUE))
    return None if found is None else (found.state, found.attempts)


def wait_for(what: Callable[[], object], within_s: float = 20.0) -> None:
    until = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until, "it did not come in time"
        time.sleep(0.01)


def test_it_looks_at_once_and_again_and_again(house: House, mail_server: MailServer) -> None:
    scheduler = Scheduler(house.press, house.clock, look_every_s=0.1)
    scheduler.start()
    try:
        wait_for(lambda: standing(house) == ("done", 1))
        house.clock.wait(days=7)
        wait_for(lambda: len(mail_server.taken) == 2)
    finally:
        scheduler.stop()
    house.clock.wait(days=7)
    time.sleep(0.3)
    assert len(mail_server.taken) == 2, "a stopped scheduler looks no more"


def test_it_stops_in_time_though_a_report_hangs_and_the_run_is_handed_back(
    house: House, mail_server: MailServer
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hanging() -> Books:
        begun.set()
        go_on.wait(60)
        return house.press.books()

    scheduler = Scheduler(replace(house.press, books=hanging), house.clock)
    scheduler.start()
    assert begun.wait(20)
    began = time.monotonic()
    scheduler.stop(within_s=0.3)
    assert time.monotonic() - began < 5
    assert (house.run(DUE).state, house.run(DUE).attempts) == ("waiting", 0)
    [run] = house.look()  # another scheduler
    assert run.state == "done"
    go_on.set()
    wait_for(lambda: not any(thread.name == "gridkeeper schedule" for thread in threading.enumerate()))
    assert len(mail_server.taken) == 1, "what the abandoned thread still did came to nothing"


def test_a_report_that_cannot_be_made_now_is_logged_and_looked_at_again(house: House) -> None:
    calls: list[int] = []

    def first_fails() -> Books:
        calls.append(1)
        if len(calls) == 1:
            raise LakeUnavailable("the lake is busy; try again")
        return house.press.books()

    with capture_logs() as logs:
        scheduler = Scheduler(replace(house.press, books=first_fails), house.clock, look_every_s=0.1)
        scheduler.start()
        try:
            wait_for(lambda: standing(house) == ("waiting", 1))
            house.clock.wait(minutes=2)
            wait_for(lambda: standing(house) == ("done", 2))
        finally:
            scheduler.stop()
    first, second = logs
    assert (first["event"], first["problem"]) == ("a report is not delivered", "the lake is busy; try again")
    assert (second["event"], second["period"]) == ("a report is delivered", "31 Jan – 6 Feb 2017")


def test_a_database_that_is_away_is_logged_and_looked_at_again(house: House) -> None:
    away = open_database("postgresql://nobody@127.0.0.1:1/nothing")
    scheduler = Scheduler(replace(house.press, engine=away), house.clock, look_every_s=0.1)
    with capture_logs() as logs:
        scheduler.start()
        try:
            wait_for(lambda: len(logs) >= 2)
        finally:
            scheduler.stop()
    assert logs[0]["work"] == "look for due reports"
    assert logs[0]["problem"].startswith("the database nothing at 127.0.0.1 cannot be written: ")


def test_daily_work_is_done_at_its_time_and_a_failure_is_logged(house: House) -> None:
    in_a_moment = (now() + timedelta(seconds=2)).time()

    def unavailable() -> None:
        raise LakeUnavailable("the lake is busy; try again")

    def broken() -> None:
        raise ZeroDivisionError

    daily = {"compact": unavailable, "sweep": broken}
    scheduler = Scheduler(house.press, house.clock, daily=daily, daily_at=in_a_moment)
    with capture_logs() as logs:
        scheduler.start()
        try:
            wait_for(lambda: {"compact", "sweep"} <= {entry.get("work") for entry in logs})
        finally:
            scheduler.stop()
    told = {entry["work"]: entry for entry in logs if "work" in entry}
    assert told["compact"]["problem"] == "the lake is busy; try again"
    assert told["sweep"]["event"] == "this broke off by a fault in Gridkeeper"
    assert told["sweep"]["exc_info"]


def test_a_schedule_that_cannot_be_kept_is_refused_at_the_start(house: House) -> None:
    unknown = house.with_schedules(weekly(formats=("pdf",)))
    with pytest.raises(BadConfiguration, match="the report trends has no format 'pdf'; it has markdown"):
        Scheduler(unknown.press, house.clock)
    with pytest.raises(BadConfiguration, match="it has recipients, but no mail server is named"):
        Scheduler(house.with_mail(host=None).press, house.clock)
