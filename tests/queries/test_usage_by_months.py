"""Whole months read from the monthly summary say what their days say, in every state of the books."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.model import read_registry
from gridkeeper.queries import answering, grids
from gridkeeper.queries.factoring import kinds_of
from gridkeeper.queries.known import unknown_values
from gridkeeper.queries.measures import MEASURES, OF_TRANSFERS
from gridkeeper.queries.names import names_of
from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, payload_only, usage
from gridkeeper.summaries.books import Books
from tests.homes import InventedHome, Job, at, every_day

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.queries.usage import CountLevel

pytestmark = pytest.mark.slow
FEDERATION = """
federation: {name: Example, grid: OSG}
resources:
  - {name: alpha, site: Alpha, probes: ["slurm:alpha"], count_level: [{from: 2016-01-01, level: batch}, {from: 2017-01-12, level: payload}]}
  - {name: gamma, site: Gamma, probes: ["slurm:gamma"]}
mapping:
  - {when: {account: cms}, vo: CMS}
  - {when: {account: nearby, resource: gamma}, vo: gluex, grid: Local}
"""
RECEIVED = datetime(2017, 4, 3, tzinfo=UTC)
# Factors change from day to day, so measures that are made with them are never read from months.
ASKED = [
    name
    for name in MEASURES
    if name not in (*OF_TRANSFERS, "started_jobs", "active_jobs") and not kinds_of([name])
]
BY: list[tuple[str, ...]] = [
    (), ("processors",), ("queue", "vo"), ("month", "outcome"), ("probe", "month"), ("resource_type", "resource"), ("gpu_model", "level"), ("week", "processors"), ("day", "queue"),
]  # fmt: skip
PERIODS = {
    "all time": None,
    "parts of months at both ends": Period(date(2016, 11, 20), date(2017, 3, 3)),
    "a part at the begin": Period(date(2016, 11, 20), date(2017, 3, 1)),
    "a part at the end": Period(date(2016, 12, 1), date(2017, 1, 15)),
    "one month": Period(date(2017, 1, 1), date(2017, 2, 1)),
    "two parts and no month": Period(date(2017, 1, 2), date(2017, 2, 27)),
    "a part of a month": Period(date(2017, 1, 5), date(2017, 1, 20)),
    "one day": Period(date(2017, 1, 31), date(2017, 2, 1)),
    "months without records": Period(date(2018, 1, 1), date(2018, 6, 2)),
}
WHERE: list[tuple[tuple[str, str], ...]] = [
    (),
    (("vo", "cMs"), ("processors", "08")),
    (("queue", "BATCH"), ("site", "")),
    (("outcome", "success"), ("month", "2017-01"), ("month", "2016-12")),
    (("processors", "1"), ("week", "2017-01-30")),
    (("gpu_model", ""), ("resource", "Beta"), ("resource", "ALPHA")),
]


def filled(folder: Path) -> InventedHome:
    """Registered resources whose count level changes within a month, and two that nobody registered, one with payloads alone."""
    home = InventedHome(folder / "home", FEDERATION)
    home.slurm("alpha", every_day("2016-11-10", "2017-02-20", number=1, cores=8), RECEIVED)
    home.slurm("beta", every_day("2016-12-05", "2017-03-02", number=1, hours=3, cores=4), RECEIVED)
    home.slurm(
        "gamma",
        [
            Job(1, at("2017-01-05T12:00"), cpu=None),
            Job(2, at("2017-01-31T23:59"), account="nearby"),
            Job(3, at("2017-02-01T00:00"), hours=30, account="nobody"),
        ],
        RECEIVED,
    )
    home.payloads("alpha", every_day("2017-01-01", "2017-02-10", number=500), RECEIVED)
    home.payloads("delta", every_day("2016-12-20", "2017-01-20", number=700), RECEIVED)
    return home


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return filled(tmp_path_factory.mktemp("months")).books()


def assert_days_say_the_same(books: Books, by: tuple[str, ...], scope: Scope) -> None:
    found = usage(books, by, ASKED, scope)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answering, "MONTHLY", {})
        days = usage(books, by, ASKED, scope)
    assert "usage_monthly_end" not in days.sql
    assert found.rows == days.rows


@pytest.mark.parametrize("by", BY, ids=",".join)
@pytest.mark.parametrize("period", PERIODS.values(), ids=PERIODS.keys())
def test_months_say_what_their_days_say(fresh: Books, by: tuple[str, ...], period: Period | None) -> None:
    assert_days_say_the_same(fresh, by, Scope(period))


@pytest.mark.parametrize("by", [("processors",), ("month", "outcome")], ids=",".join)
@pytest.mark.parametrize("level", ["batch", "payload", "all-records"])
@pytest.mark.parametrize("grid", ["any", "local"])
def test_months_say_what_their_days_say_of_levels_and_grids(
    fresh: Books, by: tuple[str, ...], level: CountLevel, grid: str
) -> None:
    scope = Scope(PERIODS["parts of months at both ends"], level, grid)
    assert usage(fresh, by, ASKED, scope).rows or (level, grid) == ("payload", "local")
    assert_days_say_the_same(fresh, by, scope)


@pytest.mark.parametrize("period", PERIODS.values(), ids=PERIODS.keys())
@pytest.mark.parametrize("level", [None, "batch"])
def test_months_leave_out_what_their_days_leave_out(
    fresh: Books, period: Period | None, level: CountLevel | None
) -> None:
    def said() -> tuple[object, ...]:
        scope = Scope(period, level)
        table = answering.table_of(("queue",), ("jobs",), scope)
        return grids.left_out(fresh, scope, table), grids.in_words(fresh, scope, table)

    found = said()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answering, "MONTHLY", {})
        assert found == said()


@pytest.mark.parametrize("where", WHERE, ids=str)
@pytest.mark.parametrize("by", [("processors",), ("month", "queue")], ids=",".join)
def test_months_say_what_their_days_say_under_conditions(
    fresh: Books, by: tuple[str, ...], where: tuple[tuple[str, str], ...]
) -> None:
    for period in PERIODS.values():
        assert_days_say_the_same(fresh, by, Scope(period, where=where))


@pytest.mark.parametrize(
    ("by", "where", "period", "reads"),
    [
        (("queue",), (), "all time", {"usage_monthly_end"}),
        (("queue", "month"), (), "one month", {"usage_monthly_end"}),
        (("queue",), (), "parts of months at both ends", {"usage_monthly_end", "usage_daily_end"}),
        (("queue",), (), "a part of a month", {"usage_daily_end"}),
        (("queue", "day"), (), "all time", {"usage_daily_end"}),
        (("queue",), (("week", "2017-01-31"),), "all time", {"usage_daily_end"}),
        (("vo",), (), "all time", {"usage_daily_brief"}),
    ],
)
def test_only_what_days_matter_to_reads_days(
    fresh: Books, by: tuple[str, ...], where: tuple[tuple[str, str], ...], period: str, reads: set[str]
) -> None:
    rows, _ = answering.rows_of(
        answering.table_of(by, ("jobs",), Scope(where=where)), by, Scope(PERIODS[period], where=where), "day"
    )
    tables = {"usage_monthly_end", "usage_daily_end", "usage_daily_brief"}
    assert {table for table in tables if table in rows} == reads


def test_what_only_days_of_kinds_know_is_found_in_months(fresh: Books) -> None:
    assert names_of(fresh, "processors") == [1, 4, 8]
    assert payload_only(fresh)["resource"].to_pylist() == ["delta"]
    scope = Scope(where=(("queue", "bacth"), ("probe", "slurm:alpha")))
    (unknown,) = unknown_values(fresh, scope, "usage_daily_end")
    assert (unknown.value, unknown.nearest[:1]) == ("bacth", ("batch",))


def ask_everything(books: Books) -> None:
    for period in (None, PERIODS["parts of months at both ends"], PERIODS["one month"]):
        for by in [("processors", "resource"), ("month", "queue")]:
            assert_days_say_the_same(books, by, Scope(period))


def of_beta(books: Books) -> tuple[int, float]:
    """Jobs and core hours of `beta`, asked by a dimension that only kinds have."""
    scope = Scope(where=(("resource", "beta"), ("queue", "batch")))
    (row,) = usage(books, (), ("jobs", "core_hours"), scope).rows
    return row["jobs"], row["core_hours"]


def test_months_know_the_records_that_came_after_the_summaries(tmp_path: Path) -> None:
    home = filled(tmp_path)
    jobs, core_hours = of_beta(home.books())
    home.slurm(
        "beta", [Job(9000, at("2017-01-15T12:00"), cores=16), Job(9001, at("2017-04-02T12:00"))], RECEIVED
    )
    books = Books(home.lake, read_registry(home.home.federation))
    assert of_beta(books) == (jobs + 2, core_hours + 17)
    ask_everything(books)
    ask_everything(home.books())


def test_months_know_the_records_that_were_revised_after_the_summaries(tmp_path: Path) -> None:
    home = filled(tmp_path)
    jobs, core_hours = of_beta(home.books())
    longer = Job(20, at("2017-01-05T12:00"), hours=3 + 24 * 12, cores=4)  # it ended on 24 December before
    home.slurm("beta", [longer], RECEIVED + timedelta(hours=1))
    for _ in range(2):  # first from the records, then from the refreshed summaries
        books = Books(home.lake, read_registry(home.home.federation))
        assert of_beta(books) == (jobs, core_hours + 24 * 12 * 4)
        ask_everything(books)
        home.books()


def test_months_that_are_behind_their_days_are_not_read(tmp_path: Path) -> None:
    home = filled(tmp_path)
    home.books()
    aside = shutil.copytree(home.home.lake / "usage_monthly_end", tmp_path / "aside")
    home.slurm("beta", [Job(9000, at("2017-01-15T12:00"), cores=16)], RECEIVED)
    expected = of_beta(home.books())
    shutil.rmtree(home.home.lake / "usage_monthly_end")
    for state in ("gone", "behind"):
        if state == "behind":
            shutil.rmtree(home.home.lake / "usage_monthly_end")
            shutil.copytree(aside, home.home.lake / "usage_monthly_end")
        books = Books(home.lake, read_registry(home.home.federation))
        assert of_beta(books) == expected
        ask_everything(books)
    assert of_beta(home.books()) == expected
    ask_everything(home.books())


def test_months_follow_a_changed_registry(tmp_path: Path) -> None:
    home = filled(tmp_path)
    home.books()
    home.home.federation.write_text(FEDERATION.replace("vo: CMS", "vo: Atlas"), encoding="utf-8")
    books = Books(home.lake, read_registry(home.home.federation))
    of_beta = Scope(where=(("resource", "beta"),))
    assert {row["vo"] for row in usage(books, ("vo", "processors"), ("jobs",), of_beta).rows} == {"atlas"}
    ask_everything(books)
