"""`gridkeeper report compare`: homes and files side by side, from the command line."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.errors import UserMistake
from tests.homes import InventedHome, Job, at
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

MAPPED = "federation: {name: Sample}\nmapping: [{when: {account: cms}, vo: cms}]\n"
SUMMARY = """APEL-summary-job-message: v0.3
Site: utah
VO: cms
Month: 1
Year: 2017
EarliestEndTime: 1483228800
LatestEndTime: 1485820800
Processors: 8
NodeCount: 1
WallDuration: 7200
CpuDuration: 50000
NormalisedWallDuration: 72000
NormalisedCpuDuration: 500000
NumberOfJobs: 1
%%
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", "compare", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("compare")
    home = InventedHome(made / "osg-home", MAPPED)
    home.slurm("utah", [Job(1, at("2017-01-10T12:00"), 2, 8), Job(2, at("2016-12-10T12:00"), 2, 8)])
    (made / "utah.apel").write_text(SUMMARY)
    return made


def test_a_home_and_a_file_are_put_side_by_side(folder: Path) -> None:
    result = run(folder / "osg-home", folder / "utah.apel", "--month", "2017-01", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert (said["left"]["source"], said["right"]["source"]) == ("jobs", "reported")
    assert said["agreements"]["core_hours"] == {"compared": 1, "within": 1}
    assert said["agreements"]["cpu_hours"] == {"compared": 1, "within": 0}
    assert said["pairs"][0]["core_hours"] == {"left": 16.0, "right": 16.0, "ratio": 1.0, "agrees": True}
    assert said["pairs"][0]["normalised_cpu_hours"]["left"] is None
    assert said["traces"]["right"]["table"] == "usage_reported_monthly"
    assert said["invented"] is True


def test_without_a_period_all_days_count(folder: Path) -> None:
    said = json.loads(run(folder / "osg-home", folder / "utah.apel", "--json").stdout)
    assert said["period"] is None
    assert said["pairs"][0]["jobs"] == {"left": 2, "right": 1, "ratio": 2.0, "agrees": False}


def test_strict_makes_a_disagreement_an_exit_code(folder: Path) -> None:
    both = (folder / "osg-home", folder / "utah.apel", "--month", "2017-01")
    assert run(*both, "--strict").exit_code == 1
    assert run(*both, "--strict", "--tolerance", "0.2").exit_code == 0


def test_a_side_may_name_its_source(folder: Path) -> None:
    result = run(f"{folder / 'osg-home'}:jobs", f"{folder / 'osg-home'}:reported")
    assert result.exit_code == 0
    assert result.stdout.startswith("# osg-home:jobs beside osg-home:reported\n")
    assert "missing in osg-home:reported: 1" in result.stdout


def test_what_is_neither_a_home_nor_a_file_is_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="there is no home and no file"):
        CliRunner().invoke(
            app, ["report", "compare", str(folder / "nowhere"), str(folder)], catch_exceptions=False
        )
    empty = tmp_path / "empty.apel"
    empty.write_text("\n")
    with pytest.raises(UserMistake, match="holds no record"):
        CliRunner().invoke(
            app, ["report", "compare", str(folder / "osg-home"), str(empty)], catch_exceptions=False
        )


@pytest.mark.slow
def test_gracc_and_gratia_of_january_2017_in_every_format(tmp_path: Path) -> None:
    both = (shared("apel/gracc_2017-01.apel"), shared("apel/gratia_2017-01.apel"))
    written = {ending: tmp_path / f"compared.{ending}" for ending in ("md", "csv", "html")}
    for path in written.values():
        assert run(*both, "-o", path).exit_code == 0
    text = written["md"].read_text()
    assert "Both hold 55 pairs of site and VO." in text
    assert "51 of 55 in jobs, 52 of 55 in wall hours" in text
    assert "45 of 55 in normalised CPU hours" in text
    rows = list(csv.DictReader(io.StringIO(written["csv"].read_text())))
    assert {place: sum(row["in"] == place for row in rows) for place in ("both", "left", "right")} == {"both": 55, "left": 5, "right": 1}  # fmt: skip
    assert sum("jobs" in row["disagrees_in"].split(";") for row in rows) == 4
    mit = next(row for row in rows if (row["site"], row["vo"]) == ("MIT_CMS", "cms"))
    assert float(mit["normalised_cpu_hours_ratio"]) == pytest.approx(0.4989, abs=1e-4)
    assert "UCSD_GlideinWMS_Submit_r1" in written["html"].read_text()
