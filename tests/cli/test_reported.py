"""Sums that others reported: whole months or nothing, in every question and report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.errors import UserMistake
from gridkeeper.records.draft import Delivery
from tests.homes import RECEIVED, InventedHome

if TYPE_CHECKING:
    from pathlib import Path

SUM = """\
Site: Utah
Month: {month}
Year: {year}
VO: cms
Processors: 2
WallDuration: 7200
CpuDuration: 10800
NormalisedWallDuration: 72000
NormalisedCpuDuration: 108000
NumberOfJobs: {jobs}
%%
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    made = InventedHome(tmp_path_factory.mktemp("reported") / "home")
    text = "".join(SUM.format(month=month, year=year, jobs=month) for year, month in ((2016, 11), (2016, 12), (2017, 1), (2017, 2)))  # fmt: skip
    made.load(f"APEL-normalised-summary-message: v0.4\n{text}", "apel", Delivery(RECEIVED))
    return made


def answer(home: InventedHome, *arguments: str) -> Any:
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), *arguments])
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


@pytest.mark.parametrize(
    "command", [["usage", "--source", "reported"], ["report", "production"], ["report", "site-vo"]]
)
@pytest.mark.parametrize(
    "days", [("2017-01-01", "2017-01-08"), ("2017-01-15", "2017-02-01"), ("2016-12-27", "2017-01-03")]
)
def test_a_part_of_a_month_is_refused_with_the_months_to_ask_for(
    home: InventedHome, command: list[str], days: tuple[str, str]
) -> None:
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), *command, "--first", days[0], "--until", days[1]])  # fmt: skip
    assert isinstance(outcome.exception, UserMistake), outcome.output
    assert "whole months only" in str(outcome.exception)
    assert f"--month {days[0][:7]}" in str(outcome.exception)


def test_books_of_reported_sums_are_not_compared_by_week(home: InventedHome) -> None:
    side = str(home.home.path)
    outcome = CliRunner().invoke(app, ["report", "compare", side, f"{side}:reported", "--week", "2017-01-31"])
    assert "whole months only" in str(outcome.exception)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--by", "day"], "not by day"),
        (["--by", "vo,week"], "not by week"),
        (["--where", "day=2017-01-01"], "not by day"),
        (["--attribution", "overlap"], "leave out --attribution overlap"),
        (["--count-level", "payload"], "do not tell payloads"),
        (["--measure", "bytes", "--source", "reported"], "know of no transfers"),
    ],
)
def test_sums_of_months_are_not_divided(home: InventedHome, arguments: list[str], sentence: str) -> None:
    outcome = CliRunner().invoke(app, ["usage", "--home", str(home.home.path), *arguments])
    assert isinstance(outcome.exception, UserMistake), outcome.output
    assert sentence in str(outcome.exception)


def test_several_whole_months_are_answered_and_compared_with_as_many_before(home: InventedHome) -> None:
    period = ["--first", "2017-01-01", "--until", "2017-03-01"]
    rows = answer(home, "usage", "--by", "month", "--measure", "jobs", *period, "--format", "json")
    assert rows == [{"month": "2017-01", "jobs": 1}, {"month": "2017-02", "jobs": 2}]
    report = answer(home, "report", "production", *period, "--format", "json")
    assert report["total"]["jobs"] == 3
    assert report["previous"]["first"] == "2016-11-01"
    assert report["total"]["change"]["core_hours_difference"] == 0


def test_nobody_knows_how_many_of_them_failed(home: InventedHome) -> None:
    measures = "jobs,failed_jobs,failed_core_hours,gpu_hours,wait_hours,started_jobs,energy_kwh"
    (row,) = answer(home, "usage", "--measure", measures, "--where", "month=2017-01", "--format", "json")
    assert row.pop("jobs") == 1
    assert row.pop("vo") == "cms"
    assert set(row.values()) == {None}


def test_months_that_did_not_come_are_named_by_probes_and_by_the_production_report(
    tmp_path: Path,
) -> None:
    home = InventedHome(tmp_path / "home")
    for number in range(13):
        year, month = divmod(number, 12)
        received = datetime(2016 + (number + 1) // 12, (number + 1) % 12 + 1, 4, tzinfo=UTC)
        if number != 12:
            text = SUM.format(month=month + 1, year=2016 + year, jobs=1)
            home.load(
                f"APEL-normalised-summary-message: v0.4\n{text}",
                "apel",
                Delivery(received, probe="apel:utah"),
            )
    (one,) = answer(home, "probes", "--as-of", "2017-02-07", "--json")["sources"]
    assert (one["level"], one["state"], one["missing_months"]) == ("reported", "silent", ["2017-01"])
    assert (one["core_hours_a_month"], one["missing_core_hours"], one["missing_from_months"]) == (
        4.0,
        4.0,
        True,
    )
    assert answer(home, "probes", "--as-of", "2017-02-06", "--json")["counts"]["silent"] == 0
    asked = ("report", "production", "--source", "reported", "--month", "2017-01", "--as-of", "2017-02-20")
    told = answer(home, *asked, "--format", "json")
    assert [each["missing_months"] for each in told["silent"]] == [["2017-01"]]
    assert "usage_reported" in told["traces"]["silent"]["table"]
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), *asked, "--format", "markdown"])
    assert "no sums of Jan 2017; they were due by 6 Feb 2017" in outcome.output, outcome.output
    assert "by its months before" in outcome.output
    assert "Months without sums" in outcome.output
