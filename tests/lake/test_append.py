"""What is appended counts once, whoever appends it, in whatever order and however often."""

from __future__ import annotations

import multiprocessing
import os
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.append import Appended
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.records.usage import USAGE_RECORDS
from tests.lake.rows import NOON, RECEIVED, job, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DuckDB(threads=1))


def totals(lake: Lake) -> dict[str, Any]:
    sql = "SELECT COUNT(*) AS jobs, CAST(SUM(wall_duration_s) AS BIGINT) AS wall_s FROM usage_records"
    found: dict[str, Any] = lake.snapshot().select(sql).to_pylist()[0]
    return found


def test_a_record_sent_twice_counts_once(lake: Lake) -> None:
    assert lake.append(USAGE_RECORDS, rows([job(1), job(2)])) == Appended(loaded=2)
    assert lake.append(USAGE_RECORDS, rows([job(2), job(1)], RECEIVED + timedelta(days=1))) == Appended(
        duplicates=2
    )
    assert totals(lake) == {"jobs": 2, "wall_s": 7200}


def test_nothing_is_committed_for_duplicates(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1)]))
    before = lake.snapshot().handle("usage_records").version
    lake.append(USAGE_RECORDS, rows([job(1)]))
    assert lake.snapshot().handle("usage_records").version == before


def test_records_do_not_count_where_what_they_wait_for_fails_and_nothing_of_them_stays(lake: Lake) -> None:
    def full() -> None:
        raise LakeUnavailable("the archive cannot be written")

    with pytest.raises(LakeUnavailable, match="the archive"):
        lake.append_each(USAGE_RECORDS, rows([job(1)]), full)
    assert totals(lake)["jobs"] == 0
    assert not list(lake.root.rglob("*.parquet"))
    awaited: list[int] = []
    lake.append_each(USAGE_RECORDS, rows([job(1)]), lambda: awaited.append(totals(lake)["jobs"]))
    assert awaited == [0]  # it was called once, before the record counted
    assert totals(lake)["jobs"] == 1


def test_a_record_twice_in_one_delivery_counts_once(lake: Lake) -> None:
    assert lake.append(USAGE_RECORDS, rows([job(1), job(1), job(2)])) == Appended(loaded=2, duplicates=1)
    assert totals(lake) == {"jobs": 2, "wall_s": 7200}


def test_other_content_is_a_revision_and_the_newest_counts(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100)]))
    assert lake.append(USAGE_RECORDS, rows([job(1, wall_s=70)], RECEIVED + timedelta(hours=1))) == Appended(
        revised=1
    )
    assert totals(lake) == {"jobs": 1, "wall_s": 70}


def test_an_old_content_sent_again_does_not_count_again(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100)]))
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=70)], RECEIVED + timedelta(hours=1)))
    assert lake.append(USAGE_RECORDS, rows([job(1, wall_s=100)], RECEIVED + timedelta(hours=2))) == Appended(
        duplicates=1
    )
    assert totals(lake) == {"jobs": 1, "wall_s": 70}


def test_a_delivery_that_came_earlier_does_not_supersede_one_that_came_later(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=70)], RECEIVED + timedelta(hours=1)))
    assert lake.append(USAGE_RECORDS, rows([job(1, wall_s=100)], RECEIVED)) == Appended(revised=1)
    assert totals(lake) == {"jobs": 1, "wall_s": 70}


def test_both_contents_are_kept_and_the_revision_names_the_days_it_leaves(lake: Lake) -> None:
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100)]))
    lake.append(USAGE_RECORDS, rows([job(1, wall_s=100_000)], RECEIVED + timedelta(hours=1)))
    kept = lake.snapshot().select(
        "SELECT revision, end_day, previous_end_day FROM usage_records__first UNION ALL SELECT revision, end_day, previous_end_day "
        "FROM usage_records__revised ORDER BY revision"
    )
    assert kept.to_pylist() == [
        {"revision": 0, "end_day": date(2017, 1, 31), "previous_end_day": None},
        {"revision": 1, "end_day": date(2017, 2, 1), "previous_end_day": date(2017, 1, 31)},
    ]


def test_of_two_contents_in_one_delivery_the_same_one_counts_in_any_order(tmp_path: Path) -> None:
    contents = [job(1, wall_s=100), job(1, wall_s=300), job(1, wall_s=200)]
    found = set()
    for seed in range(6):
        lake = Lake(tmp_path / str(seed), DuckDB(threads=1))
        random.Random(seed).shuffle(contents)
        for part in (contents[:1], contents[1:]):
            lake.append(USAGE_RECORDS, rows(part))
        found.add(str(totals(lake)))
    assert found == {str({"jobs": 1, "wall_s": 300})}


deliveries = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 400)), min_size=1, max_size=25)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(jobs=deliveries, seed=st.integers(0, 1000))
def test_order_repetition_and_cutting_of_delivery_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[int, int]], seed: int
) -> None:
    made = [
        job(number, wall_s=60 + day, start=NOON + timedelta(days=day % 25))
        for number, day in dict(jobs).items()
    ]
    once = Lake(tmp_path_factory.mktemp("once"), DuckDB(threads=1))
    once.append(USAGE_RECORDS, rows(made))
    chance = random.Random(seed)
    repeated = made * 2
    chance.shuffle(repeated)
    often = Lake(tmp_path_factory.mktemp("often"), DuckDB(threads=1))
    cut = chance.randrange(len(repeated) + 1)
    for part in (repeated[:cut], repeated[cut:]):
        if part:
            often.append(USAGE_RECORDS, rows(part))
    assert totals(often) == totals(once)


def test_everything_is_forced_onto_the_disk_before_append_returns(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: set[str] = set()
    really = os.fsync

    def watched(descriptor: int) -> None:
        forced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    lake.append(USAGE_RECORDS, rows([job(1)]))
    folder = lake.root / "usage_records"
    for path in [*folder.rglob("*.parquet"), *(folder / "_delta_log").glob("*.json")]:
        assert str(path) in forced, f"{path} was not forced onto the disk"
        assert str(path.parent) in forced, f"the folder that names {path} was not forced onto the disk"


def _append_many(root: str, seed: int) -> None:
    lake = Lake(Path(root), DuckDB(threads=1))
    chance = random.Random(seed)
    numbers = list(range(200))
    chance.shuffle(numbers)
    for begin in range(0, 200, 40):
        lake.append(USAGE_RECORDS, rows([job(number) for number in numbers[begin : begin + 40]]))


@pytest.mark.slow
def test_writers_at_the_same_moment_lose_and_double_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(str(tmp_path / "lake"), seed)) for seed in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    lake = Lake(tmp_path / "lake", DuckDB(threads=1))
    assert totals(lake) == {"jobs": 200, "wall_s": 720_000}
    numbers = lake.snapshot().select("SELECT DISTINCT load_seq FROM usage_records ORDER BY load_seq")[
        "load_seq"
    ]
    assert numbers == pa.chunked_array([list(range(1, len(numbers) + 1))], pa.int64())
