"""What the display shows: complete hours, whole days and months, and a dash for what no record is old enough to know."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper.queries.display import Display, display, total
from tests.homes import InventedHome, Job, at

if TYPE_CHECKING:
    from pathlib import Path

FEDERATION = """
vos: [{name: cms}, {name: other}]
resources:
  - {name: alpha, site: Springfield}
  - {name: beta, site: Generic}
mapping:
  - {when: {account: cms}, vo: cms, grid: OSG}
  - {when: {account: other}, vo: other, grid: OSG}
  - {when: {account: here}, vo: cms, grid: Local}
"""
JOBS = [
    Job(1, at("2017-02-06T00:10"), hours=2, cores=4),  # within 24 hours
    Job(2, at("2017-02-05T13:30"), hours=1),  # the last day, before the 24 hours
    Job(3, at("2017-02-06T13:20"), hours=1),  # in the hour that is not over
    Job(4, at("2017-01-15T12:00"), hours=1, cores=8),
    Job(5, at("2016-11-03T12:00"), hours=1),
    Job(6, at("2017-02-06T01:00"), hours=1, account="other"),
    Job(7, at("2017-02-06T01:00"), hours=1, account="here"),
]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Display:
    folder: Path = tmp_path_factory.mktemp("display")
    home = InventedHome(folder / "home", FEDERATION)
    home.slurm("alpha", JOBS)
    home.slurm("beta", [Job(8, at("2017-02-06T02:00"), hours=1)])
    home.payloads("alpha", [Job(9, at("2017-02-06T02:00"), hours=1)])
    return display(home.books(), at("2017-02-06T13:45"))


def test_an_hour_that_is_not_over_is_left_out(shown: Display) -> None:
    assert shown.until == at("2017-02-06T13:00")
    assert (shown.hours[0].begins, shown.hours[-1].begins) == (at("2017-02-05T13:00"), at("2017-02-06T12:00"))
    assert [count.begins for count in shown.hours if count.jobs] == [
        at("2017-02-05T13:00"),
        at("2017-02-06T00:00"),
    ]


def test_payloads_local_jobs_other_vos_and_generic_sites_are_left_out(shown: Display) -> None:
    assert (total(shown.hours).jobs, total(shown.hours).core_seconds) == (2, 3600 + 8 * 3600)


def test_days_and_months_are_whole(shown: Display) -> None:
    assert (shown.days[0].begins, shown.days[-1].begins) == (date(2017, 1, 7), date(2017, 2, 5))
    assert (total(shown.days).jobs, total(shown.days).core_seconds) == (2, 9 * 3600)
    assert (shown.months[0].begins, shown.months[-1].begins) == (date(2016, 2, 1), date(2017, 1, 1))
    assert [count.jobs for count in shown.months[-3:]] == [1, 0, 1]


def test_what_no_record_is_old_enough_to_know_is_unknown_and_not_zero(shown: Display) -> None:
    assert [count.jobs for count in shown.months[:9]] == [None] * 9
    assert total(shown.months).transfers is None
    assert total(shown.months).jobs == 2


def test_sites_and_resources_are_those_that_ran_something(shown: Display) -> None:
    assert (shown.sites, shown.ces) == (1, 1)


def test_an_empty_home_knows_nothing(tmp_path: Path) -> None:
    shown = display(InventedHome(tmp_path / "home").books(), at("2017-02-06T13:45"))
    assert total(shown.hours).jobs is None
    assert len(shown.hours) == 24
