"""A report that takes longer than a claim lasts is not made a second time beside it, unless it hangs for good."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.schedules import renewing
from gridkeeper.schedules.running import make_due
from tests.homes import at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gridkeeper.schedules.runs import Run
    from gridkeeper.summaries.books import Books
    from tests.schedules.conftest import House
    from tests.schedules.mail_server import MailServer

DUE = "2017-02-07T06:00"
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "RENEW_EVERY_S", 0.02)


class Slow:
    """A scheduler that is still at work: it makes the report when it is let go."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.at_work, self.let_go = threading.Event(), threading.Event()
        self.done: list[Run] = []
        before = house.press.books

        def books() -> Books:
            self.at_work.set()
            assert self.let_go.wait(PATIENCE_S)
            return before()

        press = replace(house.press, books=books)
        self._thread = threading.Thread(target=lambda: self.done.extend(make_due(press, house.clock)))
        self._thread.start()

    def ends(self) -> list[Run]:
        self.let_go.set()
        self._thread.join(PATIENCE_S)
        return self.done


@pytest.fixture
def slow(house: House) -> Iterator[Slow]:
    house.clock.moment = at(DUE)
    scheduler = Slow(house)
    assert scheduler.at_work.wait(PATIENCE_S)
    yield scheduler
    scheduler.ends()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def let_time_pass(house: House, minutes: int) -> None:
    """Time passes and the one at work renews its claim."""
    house.clock.wait(minutes=minutes)
    wait_until(lambda: house.run(DUE).claimed_at == house.clock.moment)


def test_a_report_that_takes_two_hours_is_not_taken_over_by_another_scheduler(
    house: House, slow: Slow, mail_server: MailServer
) -> None:
    for _ in range(5):
        let_time_pass(house, 25)
        assert house.look() == []
    [run] = slow.ends()
    assert (run.state, run.attempts, run.made_at) == ("done", 1, at("2017-02-07T08:05"))
    assert len(mail_server.taken) == 1


def test_a_mail_that_takes_an_hour_is_not_sent_by_another_scheduler(
    house: House, slow: Slow, mail_server: MailServer
) -> None:
    mail_server.hold["data"] = threading.Event()
    slow.let_go.set()
    assert mail_server.reached["data"].wait(PATIENCE_S)
    for _ in range(3):
        let_time_pass(house, 25)
        assert house.look() == []
    mail_server.hold["data"].set()
    [run] = slow.ends()
    assert (run.state, run.attempts) == ("done", 1)
    assert len(mail_server.taken) == 1


def test_one_that_hangs_for_good_is_taken_over_and_what_it_does_later_is_refused(
    house: House, slow: Slow, mail_server: MailServer
) -> None:
    house.clock.wait(minutes=(renewing.LONGEST_AT_WORK + timedelta(minutes=1)).total_seconds() / 60)
    wait_until(lambda: not any(thread.name == "gridkeeper claim" for thread in threading.enumerate()))
    [run] = house.look()
    assert (run.state, run.attempts) == ("done", 2)
    assert slow.ends() == []
    assert house.run(DUE).state == "done"
    assert len(mail_server.taken) == 1


def test_the_renewal_ends_with_the_work(house: House, slow: Slow) -> None:
    slow.ends()
    assert not [thread for thread in threading.enumerate() if thread.name == "gridkeeper claim"]
    assert house.run(DUE).state == "done"
