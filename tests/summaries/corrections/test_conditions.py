"""What a record must say to be fitted: values, lists, patterns, bounds, what is missing; and no quote ends a statement."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.corrections.applying import fits
from gridkeeper.summaries.corrections.conditions import TYPES
from gridkeeper.summaries.tables import LAYOUTS
from tests.lake.rows import NOON, job, rows
from tests.summaries.corrections.invented import rule

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.lake.lake import Snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder: Path = tmp_path_factory.mktemp("lake")
    lake = Lake(folder, DuckDB(threads=1), LAYOUTS)
    jobs = [
        job(1, vo_reported="CMS", processors=1, local_user="o'brien"),
        job(2, vo_reported="atlas", processors=8, local_user="train_01"),
        job(3, processors=16, start=NOON - timedelta(days=2), local_user="trainX01"),
    ]
    lake.append(USAGE_RECORDS, rows(jobs))
    return lake.snapshot()


@pytest.mark.parametrize(
    ("match", "fitted"),
    [
        ({"vo_reported": "cms"}, ["1"]),
        ({"vo_reported": ["Atlas", "CMS"]}, ["1", "2"]),
        ({"vo_reported": None}, ["3"]),
        ({"vo_reported": {"missing": False}}, ["1", "2"]),
        ({"local_user": "o'brien"}, ["1"]),
        ({"local_user": {"pattern": "train_*"}}, ["2"]),  # _ is itself, not any letter
        ({"local_user": {"pattern": "TRAIN?0?"}}, ["2", "3"]),
        ({"processors": 8}, ["2"]),
        ({"processors": [1, 16]}, ["1", "3"]),
        ({"processors": {"over": 1, "at_most": 8}}, ["2"]),
        ({"processors": {"at_least": 8}}, ["2", "3"]),
        ({"end_day": "2017-01-29"}, ["3"]),
        ({"start_time": {"under": "2017-01-31T12:00:00Z"}}, ["3"]),
        ({"start_time": "2017-01-31T12:00:00+00:00", "processors": 1}, ["1"]),
        ({"memory_bytes": {"under": 10**12}}, []),  # of what is not known nothing is said
    ],
)
def test_a_match_fits_what_it_says(snapshot: Snapshot, match: dict[str, Any], fitted: list[str]) -> None:
    fitting = fits(rule(match=match, exclude=True))
    sql = f"SELECT local_job_id, {fitting} AS fits FROM usage_records ORDER BY local_job_id"
    found = {row["local_job_id"]: row["fits"] for row in snapshot.select(sql).to_pylist()}
    assert found == {number: number in fitted for number in ("1", "2", "3")}


def test_a_single_record_is_fitted_by_its_identity(snapshot: Snapshot) -> None:
    known = (
        snapshot.select("SELECT identity FROM usage_records WHERE local_job_id = '2'")
        .to_pylist()[0]["identity"]
        .hex()
    )
    sql = f"SELECT local_job_id FROM usage_records WHERE {fits(rule(match={'identity': [known.upper()]}, exclude=True))}"
    assert snapshot.select(sql).to_pylist() == [{"local_job_id": "2"}]


def test_a_record_is_fitted_by_the_day_it_ended_on_alone(snapshot: Snapshot) -> None:
    until = rule(
        period={"first": "2017-01-01", "until": "2017-01-31"}, match={"resource": "alpha"}, exclude=True
    )
    sql = f"SELECT local_job_id FROM usage_records WHERE {fits(until)}"
    assert snapshot.select(sql).to_pylist() == [{"local_job_id": "3"}]


@pytest.mark.parametrize("column", sorted(TYPES))
def test_every_column_can_be_asked_whether_it_is_missing(snapshot: Snapshot, column: str) -> None:
    missing = fits(rule(match={column: None}, exclude=True))
    there = fits(rule(match={column: {"missing": False}}, exclude=True))
    sql = f"SELECT COUNT(*) FILTER (WHERE {missing}) + COUNT(*) FILTER (WHERE {there}) AS records FROM usage_records"
    assert snapshot.select(sql).to_pylist() == [{"records": 3}]
