"""The real material through the whole program: what is loaded is what others found in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path


class Keeper:
    """A home and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = str(home)
        assert CliRunner().invoke(app, ["init", self.home]).exit_code == 0

    def __call__(self, *arguments: str) -> Any:
        outcome = CliRunner().invoke(app, ["--home", self.home, *arguments])
        assert outcome.exit_code == 0, outcome.output
        return json.loads(outcome.stdout)

    def load(self, *names: str) -> Any:
        return self("load", "--json", *(str(shared(name)) for name in names))


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "home")


def test_a_cluster_day_by_day_equals_what_xdmod_makes_of_it(keeper: Keeper) -> None:
    keeper.load("xdmod/phillips.log")
    expected = json.loads(shared("xdmod/phillips_expected.json").read_text())
    measures = "jobs,started_jobs,active_jobs,wall_hours,core_hours,node_hours,gpu_hours,wait_hours"
    rows = keeper(
        "usage", "--by", "day", "--attribution", "overlap", "--measure", measures, "--format", "json"
    )
    assert [row["day"] for row in rows] == sorted(expected["day"])
    names = {
        "jobs": "job_count", "started_jobs": "started_job_count", "active_jobs": "running_job_count", "wall_hours": "total_wallduration_hours",
        "core_hours": "total_cpu_hours", "node_hours": "total_node_hours", "gpu_hours": "total_gpu_hours", "wait_hours": "total_waitduration_hours",
    }  # fmt: skip
    for row in rows:
        theirs = expected["day"][row["day"]]
        for ours, name in names.items():
            assert row[ours] == pytest.approx(theirs[name], abs=0.001), (row["day"], ours)
    (total,) = keeper(
        "usage",
        "--by",
        "resource",
        "--attribution",
        "overlap",
        "--measure",
        "jobs,wall_hours,core_hours,gpu_hours,wait_hours",
        "--format",
        "json",
    )
    assert total["jobs"] == expected["total"]["job_count"] == 4046
    for ours in ("wall_hours", "core_hours", "gpu_hours", "wait_hours"):
        assert total[ours] == pytest.approx(expected["total"][names[ours]], abs=0.001)


def test_a_real_slurm_gives_slurms_own_totals(keeper: Keeper) -> None:
    keeper.load("slurm/sacct_core.psv")
    expected = json.loads(shared("slurm/slurm_real_expected.json").read_text())["ended_by_account_user"]
    found = keeper("lake", "sql", "--format", "json", (
        "SELECT account || '|' || local_user AS who, COUNT(*) AS runs, CAST(SUM(wall_duration_s) AS BIGINT) AS wall_s, "
        "CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_s, CAST(SUM(wall_duration_s * COALESCE(gpus, 0)) AS BIGINT) AS gpu_s "
        "FROM usage_records GROUP BY ALL"
    ))  # fmt: skip
    assert {row.pop("who"): row for row in found} == {
        who: {key: sums[key] for key in ("runs", "wall_s", "core_s", "gpu_s")}
        for who, sums in expected.items()
    }


def test_an_hour_of_running_cores_equals_sreport(keeper: Keeper) -> None:
    keeper.load("slurm/sacct_core.psv")
    (hour,) = keeper("lake", "sql", "--format", "json", (
        "SELECT CAST(SUM(core_seconds) AS BIGINT) AS core_s FROM running_hourly "
        "WHERE hour = TIMESTAMPTZ '2026-11-22 19:00:00+00'"
    ))  # fmt: skip
    used = shared("slurm/sreport_hour.psv").read_text().splitlines()[1].split("|")[4]
    assert hour["core_s"] == int(used)


def test_thirty_job_ads_and_the_same_as_gratia_sent_them_count_once(keeper: Keeper) -> None:
    assert keeper.load("condor_history")["loaded"] == 30
    (row,) = keeper("usage", "--by", "level", "--measure", "jobs,wall_hours", "--format", "json")
    assert (row["jobs"], row["wall_hours"]) == (30, 21_965 / 3600)


def test_the_eleven_records_of_gracc_are_the_same_jobs_in_whichever_format_they_are_read(
    keeper: Keeper,
) -> None:
    folder = shared("gracc/test_data")
    texts = [str(path) for path in sorted(folder.glob("*.xml"))]
    objects = [str(path) for path in sorted(folder.glob("*.json"))]
    assert (len(texts), len(objects)) == (11, 11)
    found = keeper("load", "--json", "--format", "auto", *texts)
    assert (found["read"], found["rejected"]) == (11, 0)
    assert [row["resource"] for row in _ogf(keeper)] == ["Colony", "lomax.nas.nasa.gov"]
    for again in (("--format", "gratia-xml", *texts), objects):
        found = keeper("load", "--json", *again)
        assert (found["read"], found["loaded"], found["rejected"]) == (11, 0, 0)
        assert [row["resource"] for row in _ogf(keeper)] == ["Colony", "lomax.nas.nasa.gov"]


def _ogf(keeper: Keeper) -> Any:
    """Of the eleven, the two in OGF's own namespace."""
    names = "('PBS.1234.0', '82125.lomax.nas.nasa.gov')"
    sql = f"SELECT resource FROM usage_records WHERE local_job_id IN {names} ORDER BY resource"
    return keeper("lake", "sql", "--format", "json", sql)


def test_job_ids_without_a_cluster_need_the_option_that_names_it(keeper: Keeper) -> None:
    path = str(shared("slurm/sacct_steps.psv"))
    assert keeper("load", "--json", path)["rules"] == {"no_resource": 410}
    assert keeper("load", "--json", "--resource", "alpha", path)["loaded"] == 410


def test_reported_sums_of_january_2017(keeper: Keeper) -> None:
    assert keeper.load("apel/gracc_2017-01.apel")["loaded"] == 295
    rows = keeper(
        "usage", "--by", "vo", "--measure", "jobs,wall_hours,core_hours,efficiency_1core", "--format", "json"
    )
    assert sum(row["jobs"] for row in rows) == 10_580_842
    assert sum(round(row["wall_hours"] * 3600) for row in rows) == 108_843_447_210
    by_vo = {row["vo"]: row for row in rows}
    assert round(by_vo["atlas"]["core_hours"]) == 42_694_289
    assert round(by_vo["cms"]["core_hours"]) == 60_820_369
    assert round(by_vo["atlas"]["efficiency_1core"], 3) == 0.841
    assert keeper.load("apel/gracc_2017-01.apel")["duplicates"] == 295


@pytest.mark.slow
def test_the_trace_of_the_wlcg(keeper: Keeper) -> None:
    assert keeper.load("traces/LCG.swf.gz")["loaded"] == 188_041
    rows = keeper("usage", "--by", "resource,vo", "--measure", "jobs,wall_hours", "--format", "json")
    assert len({row["resource"] for row in rows}) == 170
    assert len({row["vo"] for row in rows}) == 28
    assert sum(row["jobs"] for row in rows) == 188_041
    assert sum(round(row["wall_hours"] * 3600) for row in rows) == 1_502_530_759
    assert keeper.load("traces/LCG.swf.gz")["duplicates"] == 188_041
    matrix = keeper("report", "site-vo", "--month", "2005-11", "--format", "json")
    assert "2005" in json.dumps(matrix)
