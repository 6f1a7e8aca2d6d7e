"""The sample corrections of docs/corrections.md: each mends on invented jobs what it says it mends."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.federation.model import Registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.corrections.in_force import Corrections
from gridkeeper.summaries.corrections.reading import read_corrections
from gridkeeper.summaries.tables import LAYOUTS
from tests.lake.rows import job, rows
from tests.summaries.corrections.invented import by

if TYPE_CHECKING:
    from gridkeeper.summaries.corrections.rules import Rule

PAGE = Path(__file__).parents[3] / "docs" / "corrections.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
REGISTRY = Registry.model_validate(
    {
        "resources": [
            {"name": name, "count_level": "batch"}
            for name in ("red", "hammer", "coral", "crane", "cedar", "purdue")
        ]
    }
)
DAY_S = 86_400


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    folder = tmp_path_factory.mktemp("corrections")
    files = []
    for number, block in enumerate(BLOCK.findall(PAGE.read_text(encoding="utf-8"))):
        files.append(folder / f"{number:02d}.yaml")
        files[-1].write_text(block, encoding="utf-8")
    return {one.rule.id: one.rule for one in read_corrections(files)}


def at(day: str, number: int, **more: Any) -> dict[str, Any]:
    return job(
        number,
        start=datetime.fromisoformat(f"{day}T06:00").replace(tzinfo=UTC),
        **({"grid_reported": "OSG"} | more),
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"), DuckDB(threads=1), LAYOUTS)
    jobs = [
        at("2017-01-10", 1, resource="red", processors=1),
        at("2017-01-10", 2, resource="red", processors=16),
        at("2017-01-10", 3, resource="red", processors=6),
        at("2017-01-10", 4, resource="hammer", queue="cms", processors=0),
        at("2017-01-10", 5, resource="hammer", queue="cms", processors=2),
        at("2017-01-10", 6, resource="coral", unix_group="faculty"),
        at("2017-01-10", 7, resource="coral", unix_group="osgvo"),
        at("2017-07-12", 8, resource="crane", vo_reported="Summer-School"),
        at("2017-07-12", 9, resource="crane", vo_reported="cms"),
        at("2017-07-20", 10, resource="crane", vo_reported="summer-school"),
        at("2016-12-02", 11, resource="crane", vo_reported="GLOW", wall_s=40 * DAY_S),
        at("2017-01-02", 12, resource="crane", vo_reported="GLOW", wall_s=3 * DAY_S),
        at("2017-01-02", 13, resource="cedar", wall_s=90, end_time=datetime(2017, 1, 2, 7, 30, tzinfo=UTC)),
    ]
    lake.append(USAGE_RECORDS, rows(jobs, datetime(2017, 8, 1, tzinfo=UTC)))
    return lake


def corrected(lake: Lake, samples: dict[str, Rule], *names: str) -> Books:
    return Books(lake, REGISTRY, corrections=Corrections(tuple(samples[name] for name in names)))


def test_every_sample_is_a_correction_that_can_be_read(samples: dict[str, Rule]) -> None:
    assert {rule.act for rule in samples.values()} == {"set", "scale", "exclude", "add"}


def test_processor_maps_of_nebraska_and_purdue(lake: Lake, samples: dict[str, Rule]) -> None:
    books = corrected(lake, samples, "nebraska-red-2017-01", "purdue-hammer-2017-01")
    found = by(books, "resource", "processors")
    assert {key: jobs for key, (jobs, _, _) in found.items() if key[0] in ("red", "hammer")} == {
        ("red", 8): 1, ("red", 32): 1, ("red", 6): 1, ("hammer", 4): 1, ("hammer", 2): 1,
    }  # fmt: skip
    assert found["red", 32] == (1, 3600, 32 * 3600)
    filled = books.select(
        "SELECT CAST(SUM(processors_filled) AS BIGINT) AS filled FROM usage_daily_end"
    ).to_pylist()
    assert filled == [{"filled": 0}]  # what is corrected is not filled in any more


def test_local_jobs_that_leaked_are_left_out_of_reports_and_stay_in_the_books(
    lake: Lake, samples: dict[str, Rule]
) -> None:
    found = by(corrected(lake, samples, "lehigh-local-2017-01"), "resource", "grid", "in_grid")
    assert found["coral", "Local", False] == found["coral", "OSG", True] == (1, 3600, 3600)


def test_a_summer_school_is_osgs_while_it_lasts(lake: Lake, samples: dict[str, Rule]) -> None:
    found = by(corrected(lake, samples, "summer-school-2017"), "vo", "day")
    assert {(vo, day.isoformat()) for vo, day in found if day.month == 7} == {
        ("osg", "2017-07-12"),
        ("cms", "2017-07-12"),
        ("summer-school", "2017-07-20"),
    }


def test_giant_jobs_are_left_out(lake: Lake, samples: dict[str, Rule]) -> None:
    assert by(corrected(lake, samples), "vo")["glow"][:2] == (2, 43 * DAY_S)
    assert by(corrected(lake, samples, "glow-giants-2017-01"), "vo")["glow"][:2] == (1, 3 * DAY_S)


def test_minutes_become_seconds(lake: Lake, samples: dict[str, Rule]) -> None:
    assert by(corrected(lake, samples, "cedar-minutes-2017-01"), "resource")["cedar"] == (1, 5400, 5400)


def test_a_gap_is_filled_and_told_apart(lake: Lake, samples: dict[str, Rule]) -> None:
    books = corrected(lake, samples, "purdue-fill-2017-02")
    assert by(books, "resource", "estimated")["purdue", True] == (360, 3 * 1_728_000, 3 * 13_824_000)
