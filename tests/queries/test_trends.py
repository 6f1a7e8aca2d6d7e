"""Trends put months side by side: what is not known is not 0, and changes are against the month before."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper.queries.periods import Period, month_of, parse_month
from gridkeeper.queries.trends import MOST_MONTHS, Trends, newest_month, trends
from tests.homes import InventedHome, Job, at

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = month_of(date(2017, 1, 1))
FEDERATION = """
vo_lists: {opportunistic: [osg]}
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: osg}, vo: osg}
"""


@pytest.fixture
def home(tmp_path: Path) -> InventedHome:
    return InventedHome(tmp_path / "home", FEDERATION)


def hours(found: Trends, name: str) -> list[float | None]:
    trend = next(trend for trend in (*found.vos, found.total, found.opportunistic) if trend.name == name)
    return [None if seconds is None else seconds / 3600 for seconds in trend.core_seconds]


def test_the_newest_month_is_the_last_one_that_is_over() -> None:
    assert newest_month(JANUARY) == JANUARY
    assert newest_month(Period(date(2017, 1, 31), date(2017, 2, 7))) == JANUARY
    assert newest_month(Period(date(2017, 1, 10), date(2017, 1, 17))) == parse_month("2016-12")


def test_a_month_without_any_record_is_not_known_and_a_vo_without_one_is_0(home: InventedHome) -> None:
    home.slurm(
        "utah", [Job(1, at("2016-12-31T23:00"), hours=3), Job(2, at("2017-01-31T23:00"), account="osg")]
    )
    found = trends(home.books(), JANUARY)
    assert [month.name for month in found.months] == ["November 2016", "December 2016", "January 2017"]
    assert hours(found, "cms") == [None, 3, 0]
    assert hours(found, "osg") == [None, 0, 1]
    assert hours(found, "Total") == [None, 3, 1]
    assert [(trend.name, trend.change_ratio) for trend in found.vos] == [("osg", None), ("cms", -1.0)]
    assert found.total.change_at(1) is None


def test_older_months_are_shown_as_far_as_there_are_records(home: InventedHome) -> None:
    home.slurm("utah", [Job(1, at("2016-09-15T12:00")), Job(2, at("2017-01-15T12:00"))])
    assert len(trends(home.books(), JANUARY).months) == 5
    home.slurm("utah", [Job(3, at("2016-05-15T12:00")), Job(4, at("2016-08-15T12:00"))])
    assert len(trends(home.books(), JANUARY).months) == MOST_MONTHS


def test_top_sites_are_those_of_the_newest_month(home: InventedHome) -> None:
    for site, before, now in [("a", 9, 1), ("b", 1, 4), ("c", 2, 3), ("d", 3, 2)]:
        jobs = [(Job(1, at("2016-12-10T12:00"), before)), Job(2, at("2017-01-10T12:00"), now, account="osg")]
        home.slurm(site, jobs)
    found = trends(home.books(), JANUARY)
    assert [(share.site, share.core_seconds) for share in found.total.top] == [
        ("b", 14400),
        ("c", 10800),
        ("d", 7200),
    ]
    assert [share.site for share in found.total.top_before] == ["a", "d", "c"]
    assert hours(found, "Opportunistic VOs") == [None, 0, 10]


def test_the_vos_add_up_to_the_total(home: InventedHome) -> None:
    jobs = [Job(number, at(f"{month}-{number + 1:02d}T12:00"), number + 1, account=account)
            for month in ("2016-12", "2017-01") for number, account in enumerate(("cms", "osg", "nobody"))]  # fmt: skip
    home.slurm("utah", jobs)
    found = trends(home.books(), JANUARY)
    for place in (1, 2):
        assert sum(trend.core_seconds[place] or 0 for trend in found.vos) == found.total.core_seconds[place]
