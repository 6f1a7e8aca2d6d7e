"""Of a time without records a report says dashes, not zeros, and of which days there are records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.slow

UNREGISTERED = "federation: {name: Consortium, grid: OSG, week_start: tuesday}\n"
NOT_MAPPED = UNREGISTERED + "resources: [{name: kingspeak, site: Utah}]\n"
LOCAL = NOT_MAPPED + "mapping: [{when: {account: cms}, vo: cms, grid: Local}]\n"


def report(home: InventedHome, *arguments: str, week: str = "2017-01-31") -> Result:
    outcome = CliRunner().invoke(
        app,
        [
            "report",
            "production",
            "--home",
            str(home.home.path),
            "--week",
            week,
            "--as-of",
            "2017-03-01",
            *arguments,
        ],
    )
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_an_empty_home_has_dashes_for_everything(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    outcome = report(home)
    assert (
        "– core hours (– wall hours) in – jobs on – sites: there are no records of this period."
        in outcome.stdout
    )
    assert "Running cores: – (there are no records of this period)." in outcome.stdout
    assert "| *All* |  – |  – |  – |  – |  – |" in outcome.stdout
    assert "holds no records of jobs yet" in outcome.stderr
    total = json.loads(report(home, "--format", "json").stdout)["total"]
    names = ("jobs", "pilots", "payloads", "wall_hours", "core_hours", "core_seconds", "sites", "efficiency")
    assert {name: total[name] for name in names} == dict.fromkeys(names)
    assert total["running_cores"]["mean"] is None
    assert '<td class="sum">–</td>' in report(home, "--format", "html").stdout


def test_a_week_of_another_year_says_of_which_days_there_are_records(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UNREGISTERED)
    home.slurm("kingspeak", every_day("2016-03-01", "2016-03-08", number=1))
    outcome = report(home)
    assert (
        "there are no records of 31 Jan – 6 Feb 2017; there are records of 2016-03-01 to 2016-03-07"
        in outcome.stderr
    )
    assert "– core hours" in outcome.stdout
    assert "no records" not in report(home, week="2016-03-01").stderr


def test_a_week_after_which_nothing_came_has_no_fall_of_a_hundred_percent(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UNREGISTERED)
    home.slurm("kingspeak", every_day("2017-01-17", "2017-01-31", number=1))
    text = report(home).stdout
    assert "nothing is known of 31 Jan – 6 Feb 2017" in text
    assert "100.0 %" not in text


@pytest.mark.parametrize("federation, known", [(LOCAL, True), (NOT_MAPPED, False)])
def test_only_local_usage_is_a_zero_and_usage_of_no_grid_is_not(
    tmp_path: Path, federation: str, known: bool
) -> None:
    home = InventedHome(tmp_path / "home", federation)
    home.slurm("kingspeak", every_day("2017-01-17", "2017-02-07", number=1))
    total = json.loads(report(home, "--format", "json").stdout)["total"]
    assert total["core_hours"] == (0 if known else None)


def test_hours_before_the_first_record_of_all_are_not_hours_without_use(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UNREGISTERED)
    home.slurm("kingspeak", every_day("2017-02-01", "2017-02-02", number=1, hours=8))
    text = report(home).stdout
    assert "8 core hours" in text
    assert "Running cores: –; " in text
    assert "Running cores: 0" not in text
    home.slurm("kingspeak", every_day("2017-02-02", "2017-02-07", number=2, hours=8))
    running = json.loads(report(home, "--format", "json").stdout)["total"]["running_cores"]
    assert running["mean"] == pytest.approx(8 / 24, rel=0.3)
    assert running["lowest_daily_mean"] == pytest.approx(8 / 24)
