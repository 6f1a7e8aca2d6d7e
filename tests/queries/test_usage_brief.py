"""The brief summary says what the fine one says, of every measure it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.queries import answering
from gridkeeper.queries.measures import BRIEF, MEASURES, OF_TRANSFERS
from gridkeeper.queries.usage import Scope, usage
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.tables import LAYOUTS
from gridkeeper.units import MICROSECONDS_PER_HOUR
from tests.homes import InventedHome, Job, at, every_day
from tests.lake.rows import job, rows

if TYPE_CHECKING:
    from pathlib import Path

ASKED = [name for name in MEASURES if name not in (*OF_TRANSFERS, "started_jobs", "active_jobs")]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    folder: Path = tmp_path_factory.mktemp("brief")
    home = InventedHome(folder / "home", "mapping: [{when: {account: cms}, vo: cms}]")
    home.slurm("alpha", every_day("2017-01-01", "2017-01-20", number=1, cores=8))
    home.slurm(
        "alpha",
        [Job(100, at("2017-01-05T12:00"), hours=3, cpu=0.5), Job(101, at("2017-01-05T13:00"), cpu=None)],
    )
    home.slurm("beta", [Job(200, at("2017-01-06T12:00"), cpu=None, account="nobody")])
    return home.books()


@pytest.mark.parametrize("by", [(), ("vo",), ("site", "vo"), ("day",), ("month", "resource"), ("level",)])
@pytest.mark.parametrize("level", [None, "batch", "all-records"])
def test_every_measure_is_the_same_in_brief(
    books: Books, by: tuple[str, ...], level: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = Scope(count_level=level)  # type: ignore[arg-type]
    brief = usage(books, by, ASKED, scope)
    with monkeypatch.context() as patch:
        patch.setattr(answering, "_NOT_IN_BRIEF", set(ASKED))
        fine = usage(books, by, ASKED, scope)
    assert (brief.table, fine.table) == (BRIEF, "usage_daily_end")
    assert brief.rows == fine.rows
    assert brief.rows


def test_a_question_by_kind_is_answered_by_the_fine_summary(books: Books) -> None:
    assert usage(books, ("processors",)).table == "usage_daily_end"
    assert usage(books, ("vo",), scope=Scope(where=(("outcome", "success"),))).table == "usage_daily_end"


def test_cpu_time_is_added_up_beyond_64_bits(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", DuckDB(threads=1), LAYOUTS)
    most = 10**18  # microseconds a record; 9.2 x 10**18 is the most that 64 bits hold
    jobs = [
        job(number, resource=f"r{number}", cpu_user_us=most, cpu_source="measured") for number in range(10)
    ]
    lake.append(USAGE_RECORDS, rows(jobs))
    books = Books(lake, Registry())
    for where in ((), (("outcome", "success"),)):
        (row,) = usage(books, (), ("cpu_hours", "efficiency"), Scope(where=where)).rows
        assert row == {
            "cpu_hours": 10 * most / MICROSECONDS_PER_HOUR,
            "efficiency": 10 * most / (36_000 * 10**6),
        }
