"""The books as pages read them: renewed when a version changes, and not before; nobody waits for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from gridkeeper import clock
from gridkeeper.errors import LakeUnavailable
from gridkeeper.federation.model import read_registry
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.web import reading
from gridkeeper.web.reading import Opened, Reading
from tests.homes import InventedHome, every_day
from tests.summaries.corrections.invented import rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InventedHome:
    monkeypatch.setattr(reading, "LOOK_EVERY_S", 0.0)
    made = InventedHome(tmp_path / "home")
    made.slurm("alpha", every_day("2017-01-01", "2017-01-03", number=1))
    return made


@pytest.fixture
def pages(home: InventedHome) -> Iterator[Reading]:
    made = Reading(home.lake, lambda: read_registry(home.home.federation), clock.now)
    yield made
    made.close()


def jobs(opened: Opened) -> int:
    (row,) = opened.books.select("SELECT CAST(SUM(jobs) AS BIGINT) AS jobs FROM usage_daily_end").to_pylist()
    return int(row["jobs"])


def until_it_is(pages: Reading, wanted: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while pages.kept("jobs", jobs) != wanted:
        assert time.monotonic() < until, "the books were never renewed"
        time.sleep(0.02)


def test_an_answer_is_made_once_while_the_version_stays(pages: Reading) -> None:
    made = []

    def answer(opened: Opened) -> int:
        made.append(1)
        return jobs(opened)

    for _ in range(5):
        assert pages.kept("jobs", answer) == 2
    assert len(made) == 1


def test_new_records_are_seen_by_themselves(pages: Reading, home: InventedHome) -> None:
    assert pages.kept("jobs", jobs) == 2
    version = pages.opened().version
    home.slurm("alpha", every_day("2017-01-03", "2017-01-05", number=100))
    until_it_is(pages, 4)
    assert pages.opened().version != version


def test_a_changed_registry_is_seen_by_itself(pages: Reading, home: InventedHome) -> None:
    def sites(opened: Opened) -> list[str]:
        found: list[str] = opened.books.select("SELECT DISTINCT site FROM usage_daily_end")[
            "site"
        ].to_pylist()
        return found

    assert pages.kept("sites", sites) == ["alpha"]
    home.home.federation.write_text("resources: [{name: alpha, site: Springfield}]", encoding="utf-8")
    pages.settle()
    assert pages.kept("sites", sites) == ["Springfield"]


def test_who_asks_while_the_books_are_renewed_does_not_wait(pages: Reading, home: InventedHome) -> None:
    slow = threading.Event()
    first = [True]

    def answer(opened: Opened) -> int:
        if not first[0]:
            slow.wait(PATIENCE_S)
        first[0] = False
        return jobs(opened)

    assert pages.kept("jobs", answer) == 2
    home.slurm("alpha", every_day("2017-01-03", "2017-01-05", number=100))
    for _ in range(20):
        assert pages.kept("jobs", answer) == 2  # the answer of before, at once
        time.sleep(0.01)
    slow.set()
    until_it_is(pages, 4)


def test_what_is_first_asked_for_while_the_books_are_renewed_is_made_before_they_are_changed(
    pages: Reading, home: InventedHome
) -> None:
    under_way, made_by = threading.Event(), []

    def slow(opened: Opened) -> int:
        if opened.version != before:
            under_way.set()
            time.sleep(0.3)
        return jobs(opened)

    def meanwhile(opened: Opened) -> int:
        made_by.append((opened.version, threading.current_thread().name))
        return jobs(opened)

    before = pages.opened().version
    assert pages.kept("jobs", slow) == 2
    home.slurm("alpha", every_day("2017-01-03", "2017-01-05", number=100))
    pages.opened()
    assert under_way.wait(PATIENCE_S)
    assert pages.kept("meanwhile", meanwhile) == 2
    until_it_is(pages, 4)
    after = pages.opened().version
    assert pages.kept("meanwhile", meanwhile) == 4
    assert made_by == [(before, threading.current_thread().name), (after, "reading")]


def test_a_table_that_is_made_when_it_is_first_read_is_no_news(home: InventedHome) -> None:
    pages = Reading(home.lake, lambda: read_registry(home.home.federation), clock.now)
    assert not (home.lake.root / "storage_space").exists()
    first = pages.opened()
    assert (home.lake.root / "storage_space").exists()
    assert pages.settle() is first


def test_many_who_ask_at_once_have_it_made_once(pages: Reading) -> None:
    made, answers = [], []

    def answer(opened: Opened) -> int:
        made.append(1)
        time.sleep(0.05)
        return jobs(opened)

    threads = [threading.Thread(target=lambda: answers.append(pages.kept("jobs", answer))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [2] * 16
    assert len(made) == 1


def test_a_failure_is_not_kept(pages: Reading) -> None:
    def fails(opened: Opened) -> int:
        raise LakeUnavailable("busy")

    with pytest.raises(LakeUnavailable):
        pages.kept("jobs", fails)
    assert pages.kept("jobs", jobs) == 2


def test_a_home_without_records_has_books_too(tmp_path: Path) -> None:
    empty = InventedHome(tmp_path / "empty")
    opened = Reading(empty.lake, lambda: read_registry(empty.home.federation), clock.now).opened()
    assert opened.newest is None
    assert opened.received is None


def test_an_answer_that_is_made_of_another_is_of_the_same_version(home: InventedHome, pages: Reading) -> None:
    def twice(opened: Opened) -> int:
        return 2 * pages.kept("jobs", jobs, opened)

    assert pages.kept("twice", twice) == 4
    home.slurm("alpha", every_day("2017-01-03", "2017-01-04", number=3))
    until_it_is(pages, 3)
    assert pages.kept("twice", twice) == 6  # made while the old books were still the open ones


def test_a_correction_that_is_put_in_force_is_seen_by_itself(home: InventedHome) -> None:
    now = [NO_CORRECTIONS]
    pages = Reading(home.lake, lambda: read_registry(home.home.federation), clock.now, lambda: now[0])
    assert pages.kept("jobs", jobs) == 2
    now[0] = Corrections((rule(match={"end_day": "2017-01-01"}, exclude=True),))
    until_it_is(pages, 1)
    now[0] = NO_CORRECTIONS
    until_it_is(pages, 2)
    pages.close()
