"""What each act makes of records in the books, and that other days are not touched."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries import refreshing
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import LAYOUTS, SUMMARIES
from tests.lake.rows import NOON, RECEIVED, job, rows
from tests.summaries.corrections.invented import by, having, rule, summed

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = Registry.model_validate(
    {
        "vos": [{"name": "osg", "fqan": "/osg"}, {"name": "cms", "fqan": "/cms"}],
        "resources": [
            {"name": "alpha", "site": "Alpha", "probes": ["slurm:alpha"], "count_level": "batch"},
            {"name": "beta", "site": "Beta"},
        ],
    }
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake", DuckDB(threads=1), LAYOUTS)
    lake.append(
        USAGE_RECORDS,
        rows(
            [
                job(1, vo_reported="cms", fqan="/cms/Role=pilot", grid_reported="OSG", probe="slurm:alpha"),
                job(2, vo_reported="Summer-School", grid_reported="OSG", project_reported="School"),
                job(3, vo_reported="osg", grid_reported="OSG", processors=16, cpu_user_us=7, cpu_system_us=1),
                job(
                    4, vo_reported="osg", grid_reported="OSG", start=NOON - timedelta(days=3), wall_s=200_000
                ),
            ]
        ),
    )
    refresh(lake, REGISTRY)
    return lake


def test_a_vo_is_set_and_a_records_fqan_decides_no_more(lake: Lake) -> None:
    books = Books(
        lake, REGISTRY, corrections=having(rule(match={"fqan": {"pattern": "/CMS/*"}}, set={"vo": "osg"}))
    )
    assert {vo: jobs for vo, (jobs, _, _) in by(books, "vo").items()} == {"osg": 3, "summer-school": 1}


def test_a_map_changes_only_what_it_names(lake: Lake) -> None:
    maps = rule(match={"resource": "alpha"}, set={"vo": {"summer-school": "osg", "other": "cms"}})
    books = Books(lake, REGISTRY, corrections=having(maps))
    assert {vo: jobs for vo, (jobs, _, _) in by(books, "vo").items()} == {"osg": 3, "cms": 1}


def test_a_project_is_set(lake: Lake) -> None:
    books = Books(
        lake,
        REGISTRY,
        corrections=having(rule(match={"project_reported": "school"}, set={"project": "Summer"})),
    )
    assert by(books, "project", table="usage_daily_users")["Summer"] == (1, 3600, 3600)


def test_processors_are_mapped_and_core_seconds_follow(lake: Lake) -> None:
    corrections = having(rule(match={"resource": "ALPHA"}, set={"processors": {16: 32, 4: 8}}))
    refresh(lake, REGISTRY, corrections=corrections)
    books = Books(lake, REGISTRY, corrections=corrections)
    assert by(books, "processors")[32] == (1, 3600, 32 * 3600)
    assert by(books, "processors", table="usage_monthly_end")[32] == (1, 3600, 32 * 3600)
    assert by(books, "processors")[1][0] == 3


def test_a_resource_is_set_and_the_site_is_that_of_the_new_one_whoever_sent_it(lake: Lake) -> None:
    everything = rule(match={"resource": "alpha"}, set={"resource": "beta"})
    books = Books(lake, REGISTRY, corrections=having(everything))
    assert set(by(books, "resource", "site")) == {("beta", "Beta")}
    nowhere = rule(match={"probe": "slurm:alpha"}, set={"resource": "gamma"})
    books = Books(lake, REGISTRY, corrections=having(nowhere))
    assert set(by(books, "resource", "site", "vo")) == {
        ("gamma", "gamma", "cms"),
        ("alpha", "Alpha", "osg"),
        ("alpha", "Alpha", "summer-school"),
    }


def test_jobs_that_leaked_are_of_grid_local_and_in_no_report(lake: Lake) -> None:
    corrections = having(rule(match={"vo_reported": "osg"}, set={"grid": "Local"}))
    books = Books(lake, REGISTRY, corrections=corrections)
    assert {key: jobs for key, (jobs, _, _) in by(books, "grid", "in_grid").items()} == {
        ("Local", False): 2,
        ("OSG", True): 2,
    }


def test_a_measure_is_scaled_by_an_exact_ratio_rounded_half_up(lake: Lake) -> None:
    third = rule(match={"processors": 16}, scale={"wall": "1/7"})
    half = rule("b", match={"processors": {"at_least": 16}}, scale={"cpu": 0.5})
    books = Books(lake, REGISTRY, corrections=having(third, half))
    assert by(books, "processors")[16] == (1, 514, 514 * 16)  # 3600 / 7 = 514.29
    rows_of = books.select("SELECT SUM(cpu_us) AS cpu FROM usage_daily_end WHERE processors = 16").to_pylist()
    assert rows_of[0]["cpu"] == 5  # 7 / 2 = 3.5 → 4, and 1 / 2 = 0.5 → 1


def test_excluded_records_are_in_no_summary(lake: Lake) -> None:
    corrections = having(rule(match={"wall_duration_s": {"over": 100_000}}, exclude=True))
    refresh(lake, REGISTRY, corrections=corrections)
    books = Books(lake, REGISTRY, corrections=corrections)
    for table in (
        "usage_daily_end",
        "usage_daily_brief",
        "usage_monthly_end",
        "usage_daily_overlap",
        "usage_daily_users",
    ):
        assert sum(wall for _, wall, _ in by(books, "vo", table=table).values()) == 3 * 3600


def test_the_first_of_two_corrections_counts_and_what_one_made_no_other_sees(lake: Lake) -> None:
    first = rule("a", match={"vo_reported": "osg"}, set={"vo": "cms"})
    second = rule("b", match={"vo_reported": ["osg", "cms"]}, set={"vo": "glow"})
    books = Books(lake, REGISTRY, corrections=having(first, second))
    assert {vo: jobs for vo, (jobs, _, _) in by(books, "vo").items()} == {
        "cms": 2,
        "glow": 1,
        "summer-school": 1,
    }


def test_only_the_days_of_records_that_fit_are_made_anew(lake: Lake) -> None:
    fits_one = having(rule(match={"local_job_id": "4"}, exclude=True))
    assert refresh(lake, REGISTRY, corrections=fits_one)["usage_daily_end"] == 3  # it ran on three days
    fits_none = having(
        *fits_one.rules, rule("b", match={"local_job_id": "99"}, exclude=True), before=fits_one
    )
    assert refresh(lake, REGISTRY, corrections=fits_none)["usage_daily_end"] == 0
    assert refresh(lake, REGISTRY, corrections=fits_none) == dict.fromkeys(
        refresh(lake, REGISTRY, corrections=fits_none), 0
    )
    nothing = having(before=fits_none)
    assert refresh(lake, REGISTRY, corrections=nothing)["usage_daily_end"] == 3


def test_a_revoked_correction_leaves_nothing_behind(lake: Lake) -> None:
    before = summed(lake)
    corrections = having(
        rule("a", match={"vo_reported": "osg"}, set={"vo": "cms"}),
        rule("b", match={"processors": 16}, scale={"wall": 3}),
    )
    refresh(lake, REGISTRY, corrections=corrections)
    assert summed(lake) != before
    refresh(lake, REGISTRY, corrections=having(before=corrections))
    assert summed(lake) == before


def test_a_set_that_nobody_remembers_makes_everything_anew(lake: Lake) -> None:
    before = summed(lake)
    refresh(lake, REGISTRY, corrections=having(rule(match={"vo_reported": "osg"}, exclude=True)))
    assert refresh(lake, REGISTRY)["usage_daily_end"] == 4
    assert summed(lake) == before


def test_records_that_come_after_a_correction_are_corrected_before_and_after_a_refresh(lake: Lake) -> None:
    corrections = having(rule(match={"vo_reported": "osg"}, set={"vo": "cms"}))
    refresh(lake, REGISTRY, corrections=corrections)
    lake.append(
        USAGE_RECORDS, rows([job(9, vo_reported="osg", grid_reported="OSG")], RECEIVED + timedelta(days=1))
    )
    for _ in range(2):
        assert {
            vo: jobs for vo, (jobs, _, _) in by(Books(lake, REGISTRY, corrections=corrections), "vo").items()
        } == {
            "cms": 4,
            "summer-school": 1,
        }
        refresh(lake, REGISTRY, corrections=corrections)


def test_an_estimate_stands_beside_what_records_say_and_is_told_apart(lake: Lake) -> None:
    lost = {
        "vo": "osg",
        "resource": "alpha",
        "level": "batch",
        "per_day": {"jobs": 10, "wall_seconds": 100, "core_seconds": 801},
    }
    corrections = having(rule(period={"first": "2017-01-30", "last": "2017-02-01"}, add=lost))
    assert set(refresh(lake, REGISTRY, corrections=corrections).values()) == {0}
    books = Books(lake, REGISTRY, corrections=corrections)
    for table in (
        "usage_daily_end",
        "usage_daily_brief",
        "usage_daily_overlap",
        "usage_daily_users",
        "usage_monthly_end",
    ):
        found = by(books, "estimated", "vo", "site", table=table)
        assert found[True, "osg", "Alpha"] == (30, 300, 2403), table
        assert found[False, "osg", "Alpha"] == (2, 203_600, 16 * 3600 + 200_000), table
    hours = books.select(
        "SELECT CAST(SUM(core_seconds) AS BIGINT) AS core, COUNT(*) AS hours FROM running_hourly WHERE estimated AND day = DATE '2017-01-31'"
    )
    assert hours.to_pylist() == [{"core": 801, "hours": 24}]
    counted = books.select(
        "SELECT DISTINCT counted, in_grid, records FROM usage_daily_brief WHERE estimated"
    ).to_pylist()
    assert counted == [{"counted": True, "in_grid": True, "records": 0}]
    assert by(Books(lake, REGISTRY), "vo")["osg"] == (2, 203_600, 16 * 3600 + 200_000)


def test_a_summary_says_with_which_set_it_was_made(lake: Lake) -> None:
    corrections = having(rule(match={"local_job_id": "1"}, exclude=True))
    refresh(lake, REGISTRY, corrections=corrections)
    handles = [
        lake.snapshot().handle(name) for name in ("usage_daily_end", "usage_monthly_end", "running_hourly")
    ]
    assert {handle.position("corrections") for handle in handles} == {corrections.revision}
    assert date(2017, 1, 31) in {
        row["day"] for row in Books(lake, REGISTRY).select("SELECT day FROM usage_daily_end").to_pylist()
    }


def test_a_crash_between_the_commits_of_a_correction_mends_itself(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = summed(lake)
    corrections = having(rule(match={"vo_reported": "osg"}, set={"vo": "cms"}))
    with monkeypatch.context() as patch:  # only the first of the summaries was committed
        patch.setattr(refreshing, "SUMMARIES", {"running_hourly": SUMMARIES["running_hourly"]})
        refresh(lake, REGISTRY, corrections=corrections)
    for table in ("running_hourly", "usage_daily_end", "usage_monthly_end", "usage_daily_users"):
        books = Books(lake, REGISTRY, corrections=corrections)
        vos = {row["vo"] for row in books.select(f"SELECT DISTINCT vo FROM {table}").to_pylist()}
        assert vos == {"cms", "summer-school"}, table
    refresh(lake, REGISTRY, corrections=corrections)
    after = summed(lake)
    refresh(lake, REGISTRY, corrections=having(before=corrections))
    assert summed(lake) == before != after
